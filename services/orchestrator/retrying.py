"""Retries within one budget of time: the only loop of its kind in the orchestrator."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from onevoice_kit.errors import OneVoiceError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter, as in the AWS Architecture Blog's “Exponential Backoff And Jitter”."""

    budget_s: float = 10.0
    """Time from the first attempt in which another may begin, seconds; 0: one attempt only."""
    base_s: float = 0.5
    cap_s: float = 5.0
    """Longest backoff of our own, seconds; a server may ask for more."""

    def delay_s(self, attempt: int, retry_after: float | None, rng: random.Random) -> float:
        """The pause after failed attempt number `attempt` (from 1), seconds; never less than the server asked for."""
        backoff = rng.uniform(0, min(self.cap_s, self.base_s * 2 ** min(attempt - 1, 30)))
        return max(backoff, retry_after or 0.0)


OnRetry = Callable[[OneVoiceError, int, float], Awaitable[None]]
"""Gets the error, the number of the failed attempt from 1, and the pause that follows, seconds."""


async def with_retries(
    call: Callable[[int], Awaitable[T]],
    policy: RetryPolicy,
    rng: random.Random,
    *,
    transient: Callable[[OneVoiceError], bool] = lambda error: error.retryable,
    on_retry: OnRetry | None = None,
) -> T:
    """
    The result of `call(attempt)`, repeated while it raises transient errors and the pause fits into what is left of
    the budget. Raises its last error. Runs on the event loop's clock, so that simulated time works.
    """
    now = asyncio.get_running_loop().time
    ends, attempt = now() + policy.budget_s, 1
    while True:
        try:
            return await call(attempt)
        except OneVoiceError as error:
            delay = policy.delay_s(attempt, error.retry_after, rng)
            if not transient(error) or now() + delay >= ends:
                raise
            if on_retry:
                await on_retry(error, attempt, delay)
        await asyncio.sleep(delay)
        attempt += 1
