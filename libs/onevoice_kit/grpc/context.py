"""The deadline and the object scope of the work at hand; they travel with every outgoing call."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_deadline: ContextVar[float | None] = ContextVar("onevoice_deadline", default=None)
"""On the monotonic clock, seconds."""
_scope: ContextVar[str] = ContextVar("onevoice_object_scope", default="")


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


@contextmanager
def object_scope(prefix: str) -> Iterator[None]:
    """
    Lets the outgoing calls of the block name objects below `prefix` only (a key prefix without a final slash).

    Set it from what the caller knows for certain, such as the owner in a row, never from the references it sends.
    """
    token = _scope.set(prefix)
    try:
        yield
    finally:
        _scope.reset(token)


def current_scope() -> str:
    """The object scope of the enclosing work; empty where nothing sets one."""
    return _scope.get()
