"""Clients of the other services; protobuf stays in here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from onevoice_kit.errors import Unavailable
from onevoice_kit.retry import Backoff, Retry

T = TypeVar("T")
_BUDGET_S = 2.0
"""A replica that is replaced is back, or another is found, within this time; a user waits no longer for it."""
_BACKOFF = Backoff(first_s=0.2, longest_s=1.0)


async def with_retries(call: Callable[[], Awaitable[T]]) -> T:
    """
    The result of a call, repeated for 2 s at most while the service is unreachable: all our methods are idempotent, and
    the transport repeats nothing. A service that is full or slow is not called again: the user gets the error at once.
    """
    return await Retry(_BACKOFF, budget_s=_BUDGET_S, transient=_unreachable).call(call)


def _unreachable(error: Exception) -> bool:
    return isinstance(error, Unavailable) and error.retryable
