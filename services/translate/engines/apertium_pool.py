"""
Chains of Apertium's programs kept alive, one for each mode, at most so many: a line goes in, its translation comes out,
NUL ends both. A lost pipeline is replaced and its line translated again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import IO

from onevoice_kit.errors import Busy, Unavailable
from services.translate.engines.apertium_modes import Mode

_log = logging.getLogger(__name__)

_RETRY_AFTER_S = 2.0
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


class _Slot:
    """The place of one mode's pipeline."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0
        """Callers that work or wait here; a slot without any may be given to another mode."""
        self.mode = ""
        """Name of the mode that the pipeline runs."""
        self.pipeline: Pipeline | None = None

    async def empty(self) -> None:
        """Ends the pipeline."""
        pipeline, self.pipeline = self.pipeline, None
        if pipeline is not None:
            await asyncio.shield(pipeline.close())


class Pool:
    """Pipelines by mode."""

    def __init__(self, max_pipelines: int, line_timeout_s: float) -> None:
        """A pipeline that gives no translation of a line within `line_timeout_s` counts as hung."""
        self._max = max_pipelines
        self._timeout_s = line_timeout_s
        self._slots: dict[str, _Slot] = {}
        """The least recently used first."""

    async def translate(self, mode: Mode, lines: Sequence[str]) -> list[str]:
        """
        The raw translation of each line.

        Raises `Unavailable` (reason `engine_failed`) for a line that ends two pipelines, `Busy` (reason
        `pipelines_busy`) where every pipeline works for another mode.
        """
        answers: list[str] = []
        failed_at = -1
        async with self._slot(mode) as slot:
            while len(answers) < len(lines):
                try:
                    await self._continue(slot, mode, lines, answers)
                except PipelineLost as error:
                    _log.warning("apertium pipeline lost", extra={"mode": mode.name, "cause": str(error)})
                    if failed_at == len(answers):
                        message = "The translator failed on a line."
                        raise Unavailable(message, reason="engine_failed", retry_after=_RETRY_AFTER_S) from error
                    failed_at = len(answers)
        return answers

    async def _continue(self, slot: _Slot, mode: Mode, lines: Sequence[str], answers: list[str]) -> None:
        """Appends the answers that are missing; a pipeline left in the middle of its lines does not stay."""
        whole = False
        try:
            if slot.pipeline is not None and slot.mode != mode.name:
                await slot.empty()
            slot.mode = mode.name
            slot.pipeline = slot.pipeline or await self._started(mode)
            async with aclosing(slot.pipeline.translate(lines[len(answers) :])) as stream:
                async for answer in stream:
                    answers.append(answer)  # noqa: PERF401 - those that came before a failure are kept
            whole = True
        finally:
            if not whole:
                await slot.empty()

    async def _started(self, mode: Mode) -> Pipeline:
        pipeline = Pipeline(mode.stages, self._timeout_s)
        try:
            await pipeline.start()
        except BaseException:
            await asyncio.shield(pipeline.close())
            raise
        return pipeline

    @asynccontextmanager
    async def _slot(self, mode: Mode) -> AsyncIterator[_Slot]:
        slot = self._slots.pop(mode.name, None) or self._new_slot()
        self._slots[mode.name] = slot
        slot.users += 1
        try:
            async with slot.lock:
                yield slot
        finally:
            slot.users -= 1

    def _new_slot(self) -> _Slot:
        """A slot taken from the mode that has been idle longest, where there are as many as may be."""
        if len(self._slots) < self._max:
            return _Slot()
        idle = next((name for name, slot in self._slots.items() if slot.users == 0), None)
        if idle is None:
            raise Busy("Every translator is at work.", reason="pipelines_busy", retry_after=_RETRY_AFTER_S)
        return self._slots.pop(idle)

    async def close(self) -> None:
        """Ends every pipeline."""
        for slot in self._slots.values():
            await slot.empty()
        self._slots.clear()
