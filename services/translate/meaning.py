"""The check that a translation means what its source means, by the similarity of their sentence embeddings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from onevoice_kit.errors import OneVoiceError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LOST_BELOW = 0.82
"""
Similarity below which a translation counts as one that lost its meaning (ADR 033): of 128 right ones none is below, of
lines paired with the translation of another line 95 %.
"""
_BATCH = 8
"""Pairs between two looks at whether the call was cancelled."""
_log = logging.getLogger(__name__)


class Embedder(Protocol):
    """Turns a text into a vector of length 1; used by one thread."""

    def embed(self, text: str, is_source: bool, /) -> npt.NDArray[np.float32]:
        """The vector of a source, or of a translation."""
        ...

    def close(self) -> None:
        """Gives back what it holds."""
        ...


class MeaningCheck:
    """Compares sources with their translations; it never fails a translation."""

    def __init__(self, missing: Callable[[], str], load: Callable[[], Embedder]) -> None:
        """`missing` returns a sentence about what is not installed, empty for nothing; `load` makes the embedder."""
        self._missing, self._load = missing, load
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="meaning")
        self._embedder: Embedder | None = None
        self._usable: bool | None = None

    async def warm(self) -> None:
        """Loads the embedder, or logs what is missing."""
        await self.similarities([])

    async def similarities(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """The similarity of each source and its translation, -1 to 1; None for all where the check cannot work."""
        loop, found = asyncio.get_running_loop(), list[float | None]()
        try:
            if not await loop.run_in_executor(self._thread, self._ready):
                return [None] * len(pairs)
            while len(found) < len(pairs):
                batch = pairs[len(found) : len(found) + _BATCH]
                found += await loop.run_in_executor(self._thread, self._compare, batch)
        except OneVoiceError:
            _log.warning("meanings were not checked", exc_info=True)
            return [None] * len(pairs)
        return found

    async def close(self) -> None:
        """Ends the thread and the embedder; nothing may be compared afterwards."""
        await asyncio.to_thread(self._thread.shutdown, wait=True, cancel_futures=True)
        embedder, self._embedder = self._embedder, None
        if embedder is not None:
            embedder.close()

    def _ready(self) -> bool:
        if self._usable is None:
            missing = self._missing()
            if missing:
                _log.warning("meanings are not checked: %s", missing)
            self._usable = not missing
        if self._usable and self._embedder is None:
            self._embedder = self._load()
        return self._usable

    def _compare(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        embedder = self._embedder
        assert embedder is not None  # noqa: S101 - `_ready` comes first, in the same thread
        return [float(embedder.embed(source, True) @ embedder.embed(text, False)) for source, text in pairs]
