"""Refuses calls beyond what the service can work on at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from onevoice_kit.errors import Busy
from onevoice_kit.grpc.interceptors.base import ServedCall

_RETRY_AFTER_S = 1.0


class Admission:
    """A layer that lets `limit` calls in and answers `Busy` (reason `too_many_calls`) to the rest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running = 0

    @asynccontextmanager
    async def __call__(self, call: ServedCall) -> AsyncIterator[None]:  # noqa: ARG002 - every layer gets the call
        """Holds one place while the call runs."""
        if self._running >= self._limit:
            raise Busy("The service is full; try again later.", reason="too_many_calls", retry_after=_RETRY_AFTER_S)
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
