"""One child process: its own session, its log file, its readiness, an orderly end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from onevoice_cli.launcher import child, logs

Ready = Callable[[], Awaitable[bool]]
"""True once a process does its work; returns within a second or two."""
_READY_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A process to keep running."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    ready: Ready
    stop_order: int = 1
    """Lower numbers stop first; equal ones together."""
    grace_s: float = 10.0
    """Seconds it may take after SIGTERM."""
    restart: bool = True
    """False for a process whose state is lost with it: its end is the end of everything."""


@dataclass(slots=True)
class Child:
    """A started process. Its process group is its own, so that whatever it started can be ended with it."""

    spec: ServiceSpec
    log: Path
    process: asyncio.subprocess.Process
    stopping: bool = field(default=False)

    @classmethod
    async def start(cls, spec: ServiceSpec, log: Path) -> Child:
        """Starts it, standard output and error appended to the log file."""
        # Opened and handed over at once; a few microseconds of the loop.
        descriptor = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        try:
            process = await asyncio.create_subprocess_exec(
                *wrapped(spec.argv),
                env=dict(spec.env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        return cls(spec, log, process)

    @property
    def group(self) -> int:
        """The process group, which is the process's own number."""
        return self.process.pid

    async def stop(self) -> bool:
        """SIGTERM, the grace, then SIGKILL to all that is left of the group. True if it ended by itself."""
        self.stopping = True
        with suppress(ProcessLookupError):  # it has ended already
            self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), self.spec.grace_s)
            return True
        except TimeoutError:
            return False
        finally:
            self.sweep()
            await self.process.wait()

    def sweep(self) -> None:
        """Kills what is left of the group, such as workers whose parent died."""
        with suppress(ProcessLookupError, PermissionError):  # nothing is left
            os.killpg(self.group, signal.SIGKILL)

    def how_it_ended(self) -> str:
        """The exit code or signal in words."""
        code = self.process.returncode
        if code is None:
            return "is running"
        if code >= 0:
            return f"ended with exit code {code}"
        return f"was ended by signal {signal.Signals(-code).name}"

    def last_words(self, lines: int = 5) -> list[str]:
        """The end of its log."""
        return logs.tail(self.log, lines)


def wrapped(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command behind the exec helper that ties its life to ours."""
    return (sys.executable, "-I", "-S", child.__file__, str(os.getpid()), *argv)


def grpc_ready(port: int) -> Ready:
    """True once the server on this port of 127.0.0.1 reports SERVING for itself as a whole."""

    async def ready() -> bool:
        return await _listens(port) and await _serving(f"127.0.0.1:{port}")

    return ready


def http_ready(url: str) -> Ready:
    """True once a GET of `url` answers 200."""

    async def ready() -> bool:
        try:
            async with httpx.AsyncClient(timeout=_READY_TIMEOUT_S, trust_env=False) as client:
                return (await client.get(url)).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    return ready


async def _listens(port: int) -> bool:
    """Checked first, because a gRPC channel that was refused once waits before it tries again."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), _READY_TIMEOUT_S)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with suppress(OSError):  # the other side may reset it
        await writer.wait_closed()
    return True


async def _serving(address: str) -> bool:
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    async with grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=_READY_TIMEOUT_S, wait_for_ready=False
            )
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
