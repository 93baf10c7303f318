"""Lines of all open calls, spoken several at once by the engines that do so."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from onevoice_kit.engines.layers import Limit
from onevoice_kit.errors import Internal, OneVoiceError
from services.tts.engines.base import BatchEngine, Line, SynthesisEngine
from services.tts.engines.registry import Choice


class Batches:
    """
    Speaks lines within one limit: each at its place, or, by an engine that speaks several at once, together with those
    that wait for it. Such an engine has one call at a time. An idle one begins at once with what is there, and what
    comes meanwhile is the next call, so no line waits for others to come.
    """

    def __init__(self, limit: Limit) -> None:
        """`limit` bounds the lines that are spoken and wait; a call takes one of its turns."""
        self._limit = limit
        self._lanes: dict[str, _Lane] = {}

    async def speak(self, choice: Choice, line: Line) -> bytes:
        """
        The samples of a line; raises `Busy` (reason `queue_full`) and what the engine raises.

        A line that fails alone among others, for a while, gets a call of its own: with the repetitions of one, and the
        name of the engine in its error.
        """
        if choice.capabilities.batch == 1:
            async with self._limit.place():
                return await choice.call(lambda engine: engine.speak(line))
        lane = self._lanes.setdefault(choice.capabilities.info.name, _Lane(self._limit))
        with self._limit.entry():
            spoken = await lane.speak(choice, line)
            if isinstance(spoken, bytes):
                return spoken
            if not spoken.retryable:
                raise spoken
            async with self._limit.turn():
                return await choice.call(lambda engine: engine.speak(line))


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    choice: Choice
    line: Line
    outcome: asyncio.Future[bytes | OneVoiceError]
    """The samples, or the error of this line alone."""


class _Lane:
    """The lines of one engine, in the order of their coming."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._waiting: deque[_Waiting] = deque()
        self._runner: asyncio.Task[None] | None = None
        self._batch: Sequence[_Waiting] = ()
        self._call: asyncio.Task[Sequence[bytes | OneVoiceError]] | None = None

    async def speak(self, choice: Choice, line: Line) -> bytes | OneVoiceError:
        """The samples, or the error of this line alone; raises the error of the whole call."""
        one = _Waiting(choice, line, asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        if self._runner is None:
            # In a context of its own: a batch belongs to several calls, and has the deadline and scope of none.
            self._runner = asyncio.create_task(self._run(), context=contextvars.Context())
        try:
            return await one.outcome
        except asyncio.CancelledError:
            self._leave(one)
            raise

    def _leave(self, one: _Waiting) -> None:
        """A line is given up; a call goes on as long as one of its lines is wanted."""
        one.outcome.cancel()
        if one in self._waiting:
            self._waiting.remove(one)
        elif self._call is not None and all(other.outcome.done() for other in self._batch):
            self._call.cancel()

    async def _run(self) -> None:
        try:
            while self._waiting:
                async with self._limit.turn():
                    await self._speak_next()
        finally:
            self._runner = None

    async def _speak_next(self) -> None:
        if not self._waiting:  # all were given up while the call waited for its turn
            return
        choice = self._waiting[0].choice
        most = min(choice.capabilities.batch, len(self._waiting))
        self._batch = [self._waiting.popleft() for _ in range(most)]
        self._call = asyncio.create_task(_spoken(choice, [one.line for one in self._batch]))
        await asyncio.wait([self._call])
        _settle(self._batch, self._call)
        self._batch, self._call = (), None


async def _spoken(choice: Choice, lines: Sequence[Line]) -> Sequence[bytes | OneVoiceError]:
    async def work(engine: SynthesisEngine) -> Sequence[bytes | OneVoiceError]:
        if len(lines) == 1:
            return [await engine.speak(lines[0])]
        return await cast(BatchEngine, engine).speak_many(lines)

    spoken = await choice.call(work)
    if len(spoken) != len(lines):
        raise Internal("The speech synthesizer left out a line.", reason="engine_failed")
    return spoken


def _settle(batch: Sequence[_Waiting], call: asyncio.Task[Sequence[bytes | OneVoiceError]]) -> None:
    """Gives the lines of a call their ends; of a call that was cancelled no line is wanted."""
    error = asyncio.CancelledError() if call.cancelled() else call.exception()
    outcomes = [None] * len(batch) if error else call.result()
    for one, outcome in zip(batch, outcomes, strict=True):
        if one.outcome.done():
            continue
        if outcome is not None:
            one.outcome.set_result(outcome)
        elif error is not None:
            one.outcome.set_exception(error)
