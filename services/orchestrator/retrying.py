"""Retries of the orchestrator within one budget of time, on the event loop's clock, so that simulated time works."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from onevoice_kit.errors import OneVoiceError
from onevoice_kit.retry import Backoff, OnRetry, Retry, is_transient

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """A budget of time and the backoff within it."""

    budget_s: float = 10.0
    """Time from the first attempt in which another may begin, seconds; 0: one attempt only."""
    base_s: float = 0.5
    cap_s: float = 5.0
    """Longest backoff of our own, seconds; a server may ask for more."""

    @property
    def backoff(self) -> Backoff:
        """Full jitter up to `cap_s`."""
        return Backoff(self.base_s, self.cap_s)


async def with_retries(
    call: Callable[[int], Awaitable[T]],
    policy: RetryPolicy,
    rng: random.Random,
    *,
    transient: Callable[[OneVoiceError], bool] = is_transient,
    on_retry: OnRetry | None = None,
) -> T:
    """
    The result of `call(attempt)`, repeated while it raises transient errors and the delay fits into what is left of
    the budget. Raises its last error.
    """
    clock = asyncio.get_running_loop().time
    rule = Retry(policy.backoff, budget_s=policy.budget_s, transient=transient, clock=clock, rng=rng, on_retry=on_retry)
    attempts = rule.begin()
    return await attempts.call(lambda: call(attempts.failed + 1))
