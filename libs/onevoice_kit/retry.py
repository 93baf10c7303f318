"""Retries: one rule of backoff with jitter, one budget in attempts and time, for every loop that repeats work."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from onevoice_kit.errors import OneVoiceError

T = TypeVar("T")
_DOUBLINGS = 32
"""Bounds the exponent, because the power itself must not overflow."""


def is_transient(error: Exception) -> bool:
    """True for errors of the kit that may succeed when retried."""
    return isinstance(error, OneVoiceError) and error.retryable


def retry_after(error: Exception) -> float:
    """Seconds that the other side asked to wait; 0 where it asked for nothing."""
    return (error.retry_after or 0.0) if isinstance(error, OneVoiceError) else 0.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with jitter (AWS Architecture Blog, “Exponential Backoff And Jitter”)."""

    first_s: float = 0.5
    longest_s: float = 30.0
    shortest_s: float = 0.0
    jitter: float = 1.0
    """Random part of each delay: 1 is full jitter, 0 none."""

    def delay_s(self, attempt: int, rng: random.Random, at_least_s: float = 0.0) -> float:
        """Seconds to wait after failed attempt number `attempt` (from 1), never less than `at_least_s`."""
        highest = min(self.longest_s, self.first_s * 2.0 ** min(attempt - 1, _DOUBLINGS))
        return max(rng.uniform(highest * (1 - self.jitter), highest), self.shortest_s, at_least_s)


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
    transient: Callable[[Exception], bool] = is_transient
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    rng: random.Random = field(default_factory=random.Random)

    def begin(self) -> Attempts:
        """Starts the budget of one piece of work."""
        return Attempts(self)

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work`, executed again as the rule allows; raises its last error."""
        attempts = self.begin()
        while True:
            try:
                return await work()
            except Exception as error:
                if not await attempts.again(error):
                    raise


class Attempts:
    """The executions of one piece of work under a rule; for loops that `Retry.call` does not fit, such as streams."""

    def __init__(self, rule: Retry) -> None:
        self.failed = 0
        """Executions that ended with an error."""
        self._rule = rule
        self._ends_at = None if rule.budget_s is None else rule.clock() + rule.budget_s

    async def again(self, error: Exception) -> bool:
        """Waits and returns True where the work may be executed again after this error, else False at once."""
        self.failed += 1
        rule = self._rule
        if not rule.transient(error) or (rule.attempts is not None and self.failed >= rule.attempts):
            return False
        delay_s = rule.backoff.delay_s(self.failed, rule.rng, retry_after(error))
        if self._ends_at is not None and rule.clock() + delay_s >= self._ends_at:
            return False
        await rule.sleep(delay_s)
        return True
