"""The levels of a sound in steps of 10 ms: all that the gains of a mix depend on, measured once for every language."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.mixer.mixing.blocks import RATE, Samples
from services.mixer.mixing.loudness import HOP, Energies, KFilter

STEP = RATE // 100
"""Samples of a step."""
_TAIL = 2 * STEP
"""Samples after a clip's end by which the K-weighting has died away."""


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """The levels of a sound; both arrays have a value for each step."""

    energies: Samples
    """Mean square of the K-weighted samples, summed over the channels."""
    peaks: Samples
    """Highest sample, linear."""

    @staticmethod
    def silent(steps: int) -> Levels:
        """The levels of silence."""
        return Levels(np.zeros(steps, dtype=np.float32), np.zeros(steps, dtype=np.float32))

    @staticmethod
    def unpack(data: bytes) -> Levels:
        """The levels that `pack` wrote."""
        energies, peaks = np.frombuffer(data, dtype="<f4").reshape(2, -1)
        return Levels(energies, peaks)

    def pack(self) -> bytes:
        """As bytes, to be stored."""
        return np.stack([self.energies, self.peaks]).astype("<f4").tobytes()

    def add(self, other: Levels, start: int) -> None:
        """Adds a sound that begins at sample `start` and has nothing in common with this one."""
        first = start // STEP
        count = min(len(other.energies), len(self.energies) - first)
        self.energies[first : first + count] += other.energies[:count]
        self.peaks[first : first + count] += other.peaks[:count]

    def hops(self) -> Energies:
        """Energies of the whole hops of 100 ms, for `loudness.integrated`."""
        steps = HOP // STEP
        whole = len(self.energies) // steps
        hops: Energies = self.energies[: whole * steps].reshape(whole, steps).mean(axis=1, dtype=np.float64)
        return hops


class LevelMeter:
    """Collects the levels of a stream; blocks must be whole steps, except the last."""

    def __init__(self, channels: int) -> None:
        """`channels` of each block."""
        self._filter = KFilter(channels)
        self._energies: list[Samples] = []
        self._peaks: list[Samples] = []

    def add(self, samples: Samples) -> None:
        """Takes the next block, shape `(n, channels)`."""
        weighted = self._filter.apply(samples)
        channels, steps = len(weighted), len(samples) // STEP
        parts = weighted[:, : steps * STEP].reshape(channels, steps, STEP)
        self._energies.append(np.einsum("csn,csn->s", parts, parts) / np.float32(STEP))
        self._peaks.append(np.abs(samples[: steps * STEP]).reshape(steps, STEP * channels).max(axis=1))

    def levels(self) -> Levels:
        """Of all steps so far."""
        if not self._energies:
            return Levels.silent(0)
        return Levels(np.concatenate(self._energies), np.concatenate(self._peaks))


def levels_of_clip(samples: Samples, start: int) -> Levels:
    """The levels of a mono clip that begins at sample `start` of the timeline, from the step in which it begins."""
    before = start % STEP
    after = -(before + len(samples) + _TAIL) % STEP + _TAIL
    meter = LevelMeter(channels=1)
    meter.add(np.pad(samples, (before, after))[:, None])
    return meter.levels()
