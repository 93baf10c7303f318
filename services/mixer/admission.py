"""Bounds how many calls work and wait at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from onevoice_kit.errors import Busy


class Gate:
    """Lets `places` calls work and `waiting` more wait; refuses the rest."""

    def __init__(self, places: int, waiting: int) -> None:
        """`places` at least 1, `waiting` at least 0."""
        self._places = asyncio.Semaphore(places)
        self._free = places + waiting
        self._inside = 0

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place for the length of the context; `Busy` (reason `mixer_busy`) when too many wait already."""
        if self._inside >= self._free:
            raise Busy("The mixer is full; try again later.", reason="mixer_busy", retry_after=5.0)
        self._inside += 1
        try:
            async with self._places:
                yield
        finally:
            self._inside -= 1
