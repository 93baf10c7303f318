"""One retry rule for every call of the client."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from onevoice_kit.errors import OneVoiceError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Retry:
    """Exponential backoff with jitter and a budget of attempts."""

    attempts: int = 5
    first_delay_s: float = 0.5
    max_delay_s: float = 8.0

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Repeats `work` while it raises retryable errors and attempts are left; raises the last error."""
        for attempt in range(1, self.attempts):
            try:
                return await work()
            except OneVoiceError as error:
                if not error.retryable:
                    raise
                await asyncio.sleep(self.delay(attempt, error.retry_after))
        return await work()

    def delay(self, attempt: int, retry_after: float | None = None) -> float:
        """Seconds before the next attempt; `Retry-After` of the server counts, up to a minute."""
        if retry_after is not None:
            return min(retry_after, 60.0)
        return min(self.first_delay_s * 2.0 ** (attempt - 1), self.max_delay_s) * random.uniform(0.5, 1.0)


NO_RETRY = Retry(attempts=1)
