"""Bounds how many lines are spoken and wait at once, and lets the same line be spoken only once at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from onevoice_kit.errors import Busy


class Gate:
    """Lets `places` lines be spoken and `waiting` more wait; refuses the rest."""

    def __init__(self, places: int, waiting: int) -> None:
        """`places` at least 1, `waiting` at least 0."""
        self._places = asyncio.Semaphore(places)
        self._lines_at_a_time = places
        self._limit = places + waiting
        self._inside = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place for the length of the context; `Busy` (reason `queue_full`) when too many wait already."""
        if self._inside >= self._limit:
            # Half the line has gone by then: a line takes some 20 ms.
            wait_s = max(1.0, self._limit / self._lines_at_a_time * 0.01)
            raise Busy("Speech synthesis is full; try again later.", reason="queue_full", retry_after=wait_s)
        self._inside += 1
        try:
            async with self._places:
                yield
        finally:
            self._inside -= 1


class KeyLocks:
    """One lock for each key in use."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Nobody else holds the key within the context."""
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[key]
            if users > 1:
                self._locks[key] = (lock, users - 1)
            else:
                del self._locks[key]
