"""Wrappers around an engine's calls, one behaviour each; a call with one result is a stream of one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Final, Protocol, TypeVar

from onevoice_kit.errors import Busy, DeadlineExceeded, OneVoiceError, Unavailable
from onevoice_kit.retry import Retry
from onevoice_kit.telemetry.metrics import ENGINE_CALLS, ENGINE_IN_FLIGHT, ENGINE_SECONDS, counter, gauge, histogram

T = TypeVar("T")
FAILED_ENGINE: Final = "failed_engine"
"""Detail of an error: the name of the engine that does not work, so that another one may do better."""
_BROKEN = frozenset({"engine_key_refused", "engine_unavailable"})
"""Reasons of permanent errors that are the engine's, whatever its input is."""
Start = Callable[[], AsyncGenerator[T]]
"""Starts the call anew; each generator is one execution."""


class Layer(Protocol):
    """A wrapper: passes a call's items on and adds one behaviour."""

    def run(self, start: Start[T]) -> AsyncGenerator[T]:
        """The items of a call. Closing the generator closes the call."""
        ...


def stream(layers: Sequence[Layer], start: Start[T]) -> AsyncGenerator[T]:
    """A call through its layers, the first outermost; closed with `aclosing`, as every stream here."""
    for layer in reversed(layers):
        start = _around(layer, start)
    return start()


async def call(layers: Sequence[Layer], work: Callable[[], Awaitable[T]]) -> T:
    """The one result of a call through its layers."""

    async def once() -> AsyncGenerator[T]:
        yield await work()

    async with aclosing(stream(layers, once)) as items:
        return await anext(items)


def does_not_work(error: Exception) -> bool:
    """
    True where an engine's error means that it does not work: not one that is busy, which works, nor one that refuses
    an input, which others may refuse too.
    """
    away = isinstance(error, Unavailable | DeadlineExceeded)
    return away or (isinstance(error, OneVoiceError) and error.reason in _BROKEN)


class Blame:
    """Names the engine in the errors that mean it does not work."""

    def __init__(self, engine: str) -> None:
        self._engine = engine

    async def run(self, start: Start[T]) -> AsyncGenerator[T]:
        """As `Layer.run`."""
        try:
            async with aclosing(start()) as items:
                async for item in items:
                    yield item
        except OneVoiceError as error:
            if does_not_work(error):
                error.details[FAILED_ENGINE] = self._engine
            raise


class Limit:
    """
    Bounds the calls that run and wait at once; one more raises `Busy` (reason `queue_full`).

    `retry_after_s` is the wait that the error asks for; `subject` begins its sentence.
    """

    def __init__(self, running: int, waiting: int, *, subject: str, retry_after_s: float) -> None:
        """`running` at least 1, `waiting` at least 0."""
        self._places = asyncio.Semaphore(running)
        self._most = running + waiting
        self._inside = 0
        self._subject = subject
        self._retry_after_s = retry_after_s

    async def run(self, start: Start[T]) -> AsyncGenerator[T]:
        """As `Layer.run`."""
        async with self.place(), aclosing(start()) as items:
            async for item in items:
                yield item

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place for the length of the context; waits until one is free."""
        with self.entry():
            async with self.turn():
                yield

    @contextmanager
    def entry(self) -> Iterator[None]:
        """The right to wait for a turn, for the length of the context; one too many is refused."""
        if self._inside >= self._most:
            message = f"{self._subject} is full; try again later."
            raise Busy(message, reason="queue_full", retry_after=self._retry_after_s)
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One of the calls that run at once, which may serve several that have entered; waits until it may begin."""
        async with self._places:
            yield


class RetryLayer:
    """Repeats a call after a transient error, as long as it gave no item yet: what was given cannot be taken back."""

    def __init__(self, rule: Retry) -> None:
        self._rule = rule

    async def run(self, start: Start[T]) -> AsyncGenerator[T]:
        """As `Layer.run`."""
        attempts, given = self._rule.begin(), False
        while True:
            try:
                async with aclosing(start()) as items:
                    async for item in items:
                        given = True
                        yield item
                return
            except Exception as error:
                if given or not await attempts.again(error):
                    raise


class Instrument:
    """Counts and times the calls of one engine; an item's text is never recorded."""

    def __init__(self, stage: str, engine: str) -> None:
        self._labels = {"stage": stage, "engine": engine}

    async def run(self, start: Start[T]) -> AsyncGenerator[T]:
        """As `Layer.run`."""
        began, outcome = time.monotonic(), "cancelled"
        with gauge(ENGINE_IN_FLIGHT).labels(**self._labels).track_inprogress():
            try:
                async with aclosing(start()) as items:
                    async for item in items:
                        outcome = "ok"  # a reader may close the call after the item it wanted
                        yield item
                outcome = "ok"
            except OneVoiceError as error:
                outcome = error.kind.value
                raise
            except Exception:
                outcome = "internal"
                raise
            finally:
                counter(ENGINE_CALLS).labels(**self._labels, outcome=outcome).inc()
                histogram(ENGINE_SECONDS).labels(**self._labels).observe(time.monotonic() - began)


def _around(layer: Layer, start: Start[T]) -> Start[T]:
    return lambda: layer.run(start)
