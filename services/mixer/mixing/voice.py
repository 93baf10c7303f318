"""The voice over the whole timeline, summed from prepared clips that lie in a scratch file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from services.mixer.mixing.blocks import Samples
from services.mixer.mixing.levels import Levels


@dataclass(frozen=True, slots=True)
class Placed:
    """A prepared clip: 48 kHz, mono, float32."""

    start: int
    """Position of its first sample on the timeline."""
    length: int
    """Samples."""
    offset: int
    """Of its first sample in the scratch file, samples."""
    levels: Levels = field(default_factory=partial(Levels.silent, 0), compare=False)
    """From the step of the timeline in which it starts."""

    @property
    def end(self) -> int:
        """Position after its last sample."""
        return self.start + self.length


class Voice:
    """Reads the timeline once from begin to end; memory holds what one block needs."""

    def __init__(self, scratch: int, clips: Sequence[Placed]) -> None:
        """`scratch` is the descriptor of the open scratch file."""
        self._scratch = scratch
        self._coming = sorted(clips, key=lambda clip: clip.start, reverse=True)
        self._sounding: list[Placed] = []

    def read(self, begin: int, end: int) -> Samples | None:
        """The voice from `begin` to `end`, mono; None where no clip sounds. Blocks come in order."""
        while self._coming and self._coming[-1].start < end:
            self._sounding.append(self._coming.pop())
        self._sounding = [clip for clip in self._sounding if clip.end > begin]
        if not self._sounding:
            return None
        total = np.zeros(end - begin, dtype=np.float32)
        for clip in self._sounding:
            low, high = max(begin, clip.start), min(end, clip.end)
            data = os.pread(self._scratch, (high - low) * 4, (clip.offset + low - clip.start) * 4)
            total[low - begin : high - begin] += np.frombuffer(data, dtype=np.float32)
        return total
