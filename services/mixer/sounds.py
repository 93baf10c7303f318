"""Sounds that lie decoded in files, and ranges of their timeline: of what is matched, little is in memory at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

RATE = 16_000
"""Samples a second of everything that is matched: enough to place a sound within a tenth of a millisecond."""
_EMPHASIS = 0.95


class Sound:
    """Mono samples in a file, 16-bit, of which only what is read takes memory."""

    def __init__(self, path: Path) -> None:
        """`path` holds raw little-endian samples at `RATE`; an empty file is silence."""
        self._path = path
        self._length = path.stat().st_size // 2

    def read(self, begin: int, end: int) -> Samples:
        """The samples, −1 to 1; silence before the start and after the end."""
        low, high = max(0, begin), max(0, min(end, self._length))
        samples = np.zeros(max(0, end - begin), dtype=np.float32)
        if low < high:
            # Read, not mapped: the pages of a mapped file would count as memory of the process.
            part = np.fromfile(self._path, dtype="<i2", count=high - low, offset=2 * low)
            samples[low - begin : high - begin] = part / np.float32(32768)
        return samples

    def bright(self, begin: int, end: int) -> Samples:
        """The samples with the low notes turned down, in which speech is more itself and less like music."""
        samples = self.read(begin - 1, end)
        return samples[1:] - np.float32(_EMPHASIS) * samples[:-1]


@dataclass(frozen=True, slots=True)
class Span:
    """A range of the timeline, samples: a planned line, a region."""

    start: int
    end: int

    @staticmethod
    def of(start_ms: int, end_ms: int) -> Span:
        """The span between two times."""
        return Span(start_ms * RATE // 1000, end_ms * RATE // 1000)
