"""Wrappers that spare an engine and its callers: a rest after failures, and a pace of calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from onevoice_kit.engines.layers import Start, T
from onevoice_kit.errors import Busy, DeadlineExceeded, Unavailable

_AWAY = (Unavailable, DeadlineExceeded)
"""Errors of an engine that does not work. One that is busy works: its own wait is honoured by the retries."""


class Rest:
    """
    A circuit breaker: after failures in a row without one answer, calls are refused at once for a while, so that they
    do not each wait for an engine that is away and the next engine takes over. Then one call tries; the others go on
    being refused until it has ended.

    A refusal is `Unavailable` (reason `engine_rests`, with the rest of the wait).
    """

    def __init__(
        self, failures: int, rest_s: float, *, subject: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`failures`: so many in a row begin a rest of `rest_s`; `subject` begins the error's sentence."""
        self._most = failures
        self._rest_s = rest_s
        self._subject = subject
        self._clock = clock
        self._failed = 0
        self._until = 0.0
        self._trying = False

    async def run(self, start: Start[T]) -> AsyncGenerator[T]:
        """As `Layer.run`."""
        trying = self._enter()
        try:
            async with aclosing(start()) as items:
                async for item in items:
                    self._failed = 0
                    yield item
            self._failed = 0
        except _AWAY:
            self._failed += 1
            self._until = self._clock() + self._rest_s
            raise
        finally:
            if trying:
                self._trying = False

    def _enter(self) -> bool:
        """True for the call that tries whether the engine is back."""
        if self._failed < self._most:
            return False
        left_s = self._until - self._clock()
        if left_s > 0 or self._trying:
            message = f"{self._subject} rests after {self._failed} failures."
            raise Unavailable(message, reason="engine_rests", retry_after=max(left_s, 1.0))
        self._trying = True
        return True


class Pace:
    """
    Starts so many calls a minute and no more, evenly: each waits for its turn. One whose turn is further away than
    `longest_s` is refused: `Busy` (reason `engine_pace`, with the wait).
    """

    def __init__(
        self,
        per_minute: int,
        *,
        subject: str,
        longest_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`subject` begins the error's sentence."""
        self._every_s = 60.0 / per_minute
        self._subject = subject
        self._longest_s = longest_s
        self._clock = clock
        self._sleep = sleep
        self._next = 0.0

    async def run(self, start: Start[T]) -> AsyncGenerator[T]:
        """As `Layer.run`."""
        if wait_s := self._reserve():
            await self._sleep(wait_s)
        async with aclosing(start()) as items:
            async for item in items:
                yield item

    def _reserve(self) -> float:
        """Takes the next turn; returns the seconds until it comes."""
        now = self._clock()
        wait_s = max(0.0, self._next - now)
        if wait_s > self._longest_s:
            raise Busy(f"{self._subject} has too many calls.", reason="engine_pace", retry_after=wait_s)
        self._next = now + wait_s + self._every_s
        return wait_s
