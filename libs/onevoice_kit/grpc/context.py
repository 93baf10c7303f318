"""The deadline of the work at hand; it shrinks from hop to hop and bounds every outgoing call."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_deadline: ContextVar[float | None] = ContextVar("onevoice_deadline", default=None)
"""On the monotonic clock, seconds."""


def remaining() -> float | None:
    """Seconds left until the deadline of the enclosing work, at least 0; None where nothing sets one."""
    until = _deadline.get()
    return None if until is None else max(0.0, until - time.monotonic())


@contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """
    Bounds every outgoing call of the block to `seconds` from now; an earlier enclosing deadline stays.

    It bounds calls, it cancels nothing by itself. None changes nothing.
    """
    if seconds is None:
        yield
        return
    until = time.monotonic() + seconds
    outer = _deadline.get()
    token = _deadline.set(until if outer is None else min(until, outer))
    try:
        yield
    finally:
        _deadline.reset(token)
