"""Starts a media tool: own process group, limits of the kernel, bounded messages, and an end for certain."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from onevoice_kit.errors import OneVoiceError, Unavailable
from onevoice_kit.media_exec.reasons import ended

T = TypeVar("T")
log = logging.getLogger(__name__)
_KEEP = 16 << 10
_F_SETPIPE_SZ = 1031
_PIPE_BYTES = 1 << 20
_PROGRAM_BYTES = 80 << 20
"""Of the resident memory, what the program and its libraries take; measured: 55 MB."""
_STACK_BYTES = 2 << 20
"""Of each thread. The kernel counts all of it as data, used or not."""
_ENV = {"MALLOC_ARENA_MAX": "2"}
"""Each thread of its own arena would keep freed memory from the others."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one process."""

    seconds: float
    memory_bytes: int
    """Resident memory."""
    output_bytes: int

    def argv(self) -> list[str]:
        """
        The launcher before the program. util-linux does in the child what `preexec_fn` would do in a forked copy of
        a threaded process, which is not safe; and the kernel ends the child when this process dies.
        """
        cpu = int(self.seconds * 2) + 1
        return [
            *(tool("setpriv"), "--pdeathsig", "KILL", "--"),
            *(tool("prlimit"), f"--data={self.memory_bytes - _PROGRAM_BYTES}", f"--stack={_STACK_BYTES}"),
            f"--fsize={self.output_bytes}",
            *(f"--cpu={cpu}:{cpu + 5}", "--core=0", "--nofile=4096", "--"),
        ]


class Running:
    """A started tool."""

    def __init__(
        self, process: asyncio.subprocess.Process, budget: Budget, stdin: BinaryIO | None, stdout: BinaryIO | None
    ) -> None:
        """`process` leads its own process group; `stdin`, `stdout` are our ends of its pipes."""
        self._process = process
        self._budget = budget
        self._timed_out = False
        self._killed = False
        self._head = b""
        self._tail = b""
        self._stdin = stdin
        self._stdout = stdout
        self._messages = asyncio.ensure_future(self._read_messages())
        self._timer = asyncio.get_running_loop().call_later(budget.seconds, self._time_out)

    @property
    def stdin(self) -> BinaryIO:
        """A blocking pipe into the tool, for a worker thread, where the start asked for it."""
        return _opened(self._stdin)

    @property
    def stdout(self) -> BinaryIO:
        """A blocking pipe out of the tool, for a worker thread, where the start asked for it."""
        return _opened(self._stdout)

    def read(self, count: int) -> bytes:
        """
        The next `count` bytes of the tool's output, fewer at its end. `BrokenPipeError` once it was ended from here:
        work that fills up a short stream would otherwise go on to the end of it.
        """
        data = self.stdout.read(count)
        if self._killed:
            raise BrokenPipeError
        return data

    def stopping(self, report: Callable[[float], None]) -> Callable[[float], None]:
        """`report`, which raises `BrokenPipeError` once the tool was ended from here, also when it had ended before."""

        def report_or_stop(fraction: float) -> None:
            if self._killed:
                raise BrokenPipeError
            report(fraction)

        return report_or_stop

    @property
    def stderr(self) -> str:
        """The beginning and the end of the tool's messages."""
        return (self._head + self._tail).decode(errors="replace")

    async def wait(self) -> None:
        """Waits until the tool has ended; raises the typed error unless it ended well."""
        # Shielded: a caller that gives up waiting must not end the reading of messages.
        await asyncio.shield(self._messages)
        returncode = await self._process.wait()
        if returncode != 0:
            log.warning("media tool ended with %s: %s", returncode, self.stderr[-2000:])
            raise ended(returncode, self.stderr, timed_out=self._timed_out, seconds=self._budget.seconds)

    def kill(self) -> None:
        """Ends the whole process group at once."""
        self._killed = True
        if self._process.returncode is None:
            # It may have gone by itself in between.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def close(self) -> None:
        """Ends it if it still runs, and gives back pipes and the timer."""
        self._timer.cancel()
        self.kill()
        for pipe in (self._stdin, self._stdout):
            if pipe is not None:
                # A full pipe to an ended process cannot be flushed.
                with contextlib.suppress(OSError):
                    pipe.close()
        await asyncio.wait([self._messages])
        await self._process.wait()

    def _time_out(self) -> None:
        self._timed_out = True
        self.kill()

    async def _read_messages(self) -> None:
        stream = self._process.stderr
        while stream is not None and (data := await stream.read(4096)):
            if room := _KEEP - len(self._head):
                self._head += data[:room]
                data = data[room:]
            self._tail = (self._tail + data)[-_KEEP:]


@contextlib.asynccontextmanager
async def start(
    argv: Sequence[str], folder: Path, budget: Budget, *, stdin: bool = False, stdout: bool = False
) -> AsyncIterator[Running]:
    """Runs `argv` in `folder` for the length of the context. `stdin`, `stdout`: whether to open that pipe."""
    child_in, ours_in = _pipe() if stdin else (asyncio.subprocess.DEVNULL, None)
    ours_out, child_out = _pipe() if stdout else (None, asyncio.subprocess.DEVNULL)
    try:
        process = await asyncio.create_subprocess_exec(
            *budget.argv(),
            *argv,
            cwd=folder,
            env={"PATH": os.defpath, "HOME": str(folder), "TMPDIR": str(folder), "LC_ALL": "C.UTF-8", **_ENV},
            stdin=child_in,
            stdout=child_out,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except BaseException:
        _close(ours_in, ours_out)
        raise
    finally:
        _close(child_in if stdin else None, child_out if stdout else None)
    writer = None if ours_in is None else os.fdopen(ours_in, "wb")
    reader = None if ours_out is None else os.fdopen(ours_out, "rb", buffering=_PIPE_BYTES)
    running = Running(process, budget, writer, reader)
    try:
        yield running
    finally:
        await asyncio.shield(running.close())


async def work_beside(processes: Sequence[Running], work: Callable[[], T]) -> T:
    """
    Runs blocking `work`, which uses the pipes of `processes`, in a thread. When the caller is cancelled or the work
    fails the processes end first, so that the thread never waits for a pipe, and the thread is always waited for.
    """
    thread = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(thread)
    except BrokenPipeError:
        await _say_why(processes)
        raise
    except asyncio.CancelledError:
        for process in processes:
            process.kill()
        await asyncio.wait([thread])
        raise


async def _say_why(processes: Sequence[Running]) -> None:
    """Raises the error of the process that ended; the others may wait for us and would never end by themselves."""
    ends = [asyncio.ensure_future(process.wait()) for process in processes]
    await asyncio.wait(ends, return_when=asyncio.FIRST_EXCEPTION, timeout=5.0)
    for end in ends:
        end.cancel()
    for error in await asyncio.gather(*ends, return_exceptions=True):
        if isinstance(error, OneVoiceError):
            raise error


def tool(name: str) -> str:
    """The full path of an installed program; `Unavailable` (reason `media_tools_missing`) without it."""
    path = shutil.which(name, path=os.defpath) or shutil.which(name)
    if path is None:
        raise Unavailable(f"The program {name} is not installed.", reason="media_tools_missing", retryable=False)
    return path


def _opened(pipe: BinaryIO | None) -> BinaryIO:
    if pipe is None:
        raise ValueError("the pipe was not requested")
    return pipe


def _pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    # A wider pipe saves switches between processes; a kernel may refuse, and the usual width works too.
    with contextlib.suppress(OSError):
        fcntl.fcntl(writer, _F_SETPIPE_SZ, _PIPE_BYTES)
    return reader, writer


def _close(*descriptors: int | None) -> None:
    for descriptor in descriptors:
        if descriptor is not None and descriptor >= 0:
            os.close(descriptor)
