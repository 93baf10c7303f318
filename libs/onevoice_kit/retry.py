"""Retries: one rule of backoff with jitter, one budget in attempts and time, for every loop that repeats work."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from onevoice_kit.errors import OneVoiceError

T = TypeVar("T")
OnRetry = Callable[[OneVoiceError, int, float], Awaitable[None]]
"""Gets the error, the number of the failed attempt from 1, and the delay that follows, seconds."""
_DOUBLINGS = 32
"""Bounds the exponent, because the power itself must not overflow."""


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def is_transient(error: Exception) -> bool:
    """True for errors of the kit that may succeed when retried."""
    return isinstance(error, OneVoiceError) and error.retryable


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with jitter (AWS Architecture Blog, “Exponential Backoff And Jitter”)."""

    first_s: float = 0.5
    longest_s: float = 30.0
    shortest_s: float = 0.0
    jitter: float = 1.0
    """Random part of each delay: 1 is full jitter, 0 none."""
    longest_asked_s: float = math.inf
    """Longest wait that the other side may ask for."""

    def delay_s(self, attempt: int, rng: random.Random, asked_s: float = 0.0) -> float:
        """Seconds to wait after failed attempt `attempt` (from 1); `asked_s` is the wait that the other side wants."""
        highest = min(self.longest_s, self.first_s * 2.0 ** min(attempt - 1, _DOUBLINGS))
        return max(
            rng.uniform(highest * (1 - self.jitter), highest), self.shortest_s, min(asked_s, self.longest_asked_s)
        )


@dataclass(frozen=True, slots=True)
class Retry:
    """
    A rule for repeating work. It ends with the last error at the first of: an error that is not transient,
    `attempts` used up, a delay that would pass the end of `budget_s`.
    """

    backoff: Backoff = Backoff()
    attempts: int | None = None
    """Executions in all; None for no bound."""
    budget_s: float | None = None
    """Seconds from the first execution to the start of the last one; None for no bound."""
    transient: Callable[[OneVoiceError], bool] = is_transient
    """Errors that may be cured by another attempt; one that is no `OneVoiceError` never is."""
    clock: Callable[[], float] = _loop_time
    """That of the event loop, so that simulated time works."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    rng: random.Random = field(default_factory=random.Random)
    on_retry: OnRetry | None = None
    """Called before each delay."""

    def begin(self) -> Attempts:
        """Starts the budget of one piece of work."""
        return Attempts(self)

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work`, executed again as the rule allows; raises its last error."""
        return await self.begin().call(work)


class Attempts:
    """The executions of one piece of work under a rule; for loops that `Retry.call` does not fit, such as streams."""

    def __init__(self, rule: Retry) -> None:
        self.failed = 0
        """Executions that ended with an error."""
        self._rule = rule
        self._ends_at = None if rule.budget_s is None else rule.clock() + rule.budget_s

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work`, as `Retry.call`."""
        while True:
            try:
                return await work()
            except OneVoiceError as error:
                if not await self.again(error):
                    raise

    async def again(self, error: Exception) -> bool:
        """Waits and returns True where the work may be executed again after this error, else False at once."""
        self.failed += 1
        rule = self._rule
        if not isinstance(error, OneVoiceError) or not rule.transient(error):
            return False
        if rule.attempts is not None and self.failed >= rule.attempts:
            return False
        delay_s = rule.backoff.delay_s(self.failed, rule.rng, error.retry_after or 0.0)
        if self._ends_at is not None and rule.clock() + delay_s >= self._ends_at:
            return False
        if rule.on_retry is not None:
            await rule.on_retry(error, self.failed, delay_s)
        await rule.sleep(delay_s)
        return True
