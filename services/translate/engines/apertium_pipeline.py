"""A chain of Apertium's programs kept alive: a line goes in, its translation comes out, NUL ends both."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
from collections.abc import AsyncGenerator, Sequence
from typing import IO

_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
_MAX_ANSWER = 1 << 20
"""Bytes of one answer; a line has 2,000 characters."""
_SENTINEL = re.compile(r"\[=(\d+)\]")


class PipelineLost(Exception):
    """A program of the chain died, hung, or lost count of the lines; the chain is of no use any more."""


class Pipeline:
    """One chain of programs. One caller at a time; after `PipelineLost` or a cancelled call it must be closed."""

    def __init__(self, stages: Sequence[Sequence[str]], line_timeout_s: float) -> None:
        self._stages = stages
        self._timeout_s = line_timeout_s
        self._programs: list[subprocess.Popen[bytes]] = []
        self._reader = asyncio.StreamReader(limit=_MAX_ANSWER)
        self._transports: list[asyncio.BaseTransport] = []
        self._input: asyncio.WriteTransport | None = None
        self._count = 0

    async def start(self) -> None:
        """Starts the programs; they load their dictionaries by themselves. Raises `PipelineLost`."""
        spawning = asyncio.ensure_future(asyncio.to_thread(self._spawn))
        try:
            await asyncio.shield(spawning)
        except OSError as error:
            raise PipelineLost(f"a program did not start: {error}") from error
        except asyncio.CancelledError:
            # A thread cannot be cancelled: wait for it, so that `close` knows every program it started.
            await asyncio.wait([spawning])
            raise
        loop = asyncio.get_running_loop()
        protocol = asyncio.StreamReaderProtocol(self._reader)
        output, _ = await loop.connect_read_pipe(lambda: protocol, _pipe(self._programs[-1].stdout))
        entry, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, _pipe(self._programs[0].stdin))
        self._input = entry
        self._transports = [entry, output]

    async def translate(self, lines: Sequence[str]) -> AsyncGenerator[str]:
        """
        The translation of each line, in order, each as soon as it is there; marks and masks still in it.

        Lines hold no NUL and no unmasked bracket. Raises `PipelineLost`.
        """
        if self._input is None or self._input.is_closing():
            raise PipelineLost("the pipeline is not running")
        first = self._count
        self._count += len(lines)
        # An empty superblank after the text: a full stop right before NUL would be lost, and with it the NUL.
        self._input.write("".join(f"{line}[][={first + i}]\0" for i, line in enumerate(lines)).encode())
        for number in range(first, self._count):
            yield await self._answer(number)

    async def _answer(self, number: int) -> str:
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = (await self._reader.readuntil(b"\0")).decode(errors="replace").rstrip("\0")
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise PipelineLost(f"no answer: {type(error).__name__}") from error
        if _SENTINEL.findall(answer) != [str(number)]:
            raise PipelineLost("an answer does not belong to its line")
        return _SENTINEL.sub("", answer)

    async def close(self) -> None:
        """Kills the programs and waits for them."""
        for transport in self._transports:
            transport.close()
        for program in self._programs:
            program.kill()
        await asyncio.to_thread(self._reap)

    def _spawn(self) -> None:
        upstream: IO[bytes] | int = subprocess.PIPE
        try:
            for stage in self._stages:
                program = subprocess.Popen(
                    stage,
                    stdin=upstream,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=_ENVIRONMENT,
                    bufsize=0,
                )
                if not isinstance(upstream, int):
                    upstream.close()
                self._programs.append(program)
                upstream = _pipe(program.stdout)
        except OSError:
            for program in self._programs:
                program.kill()
            raise

    def _reap(self) -> None:
        for program in self._programs:
            program.wait()
            for pipe in (program.stdin, program.stdout):
                if pipe is not None:
                    # Closed already, where a transport owned it.
                    with contextlib.suppress(OSError):
                        pipe.close()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise PipelineLost("a program has no pipe")
    return pipe
