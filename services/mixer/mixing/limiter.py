"""A look-ahead limiter that keeps the true peak under a ceiling and touches nothing else."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, signal

from services.mixer.mixing.blocks import CHANNELS, RATE, Samples
from services.mixer.mixing.truepeak import TAPS, PeakFollower

HOLD = RATE * 20 // 1000
"""Samples for which the gain stays down before and after a peak."""
SMOOTH = HOLD - TAPS
"""Half width of the smoothing; less than the hold, so that the gain is fully down at the peak itself."""
DELAY = HOLD + SMOOTH
"""Samples by which the output lags behind the input."""


class Limiter:
    """
    Gain = smoothed running minimum of `ceiling / peak`: it falls and rises along a bell of 20 ms, reaches what a
    peak needs exactly there, and is 1 away from peaks. Blocks go in; the same samples come out later by `DELAY`.
    """

    def __init__(self, ceiling: float) -> None:
        """`ceiling` is linear, under 1."""
        self._ceiling = ceiling
        self._follower = PeakFollower()
        self._samples = np.zeros((0, CHANNELS), dtype=np.float32)
        self._wanted = np.ones(DELAY, dtype=np.float32)
        bell = np.hanning(2 * SMOOTH + 3)[1:-1]
        self._bell = (bell / bell.sum()).astype(np.float32)
        self.reduced = False
        """True once any sample was lowered."""

    def push(self, samples: Samples) -> Samples:
        """Takes a block, shape `(n, 2)`; gives what is ready, which may be less or more."""
        peaks, _ = self._follower.follow(samples, self._ceiling)
        wanted = np.minimum(1.0, self._ceiling / np.maximum(peaks, self._ceiling)).astype(np.float32)
        self._samples = np.concatenate([self._samples, samples])
        self._wanted = np.concatenate([self._wanted, wanted])
        return self._release(len(self._samples) - DELAY)

    def finish(self) -> Samples:
        """The samples still held back."""
        self._wanted = np.concatenate([self._wanted, np.ones(DELAY, dtype=np.float32)])
        return self._release(len(self._samples))

    def _release(self, count: int) -> Samples:
        """The first `count` waiting samples. `_wanted` begins `DELAY` before them."""
        if count <= 0:
            return self._samples[:0]
        ready, self._samples = self._samples[:count], self._samples[count:]
        seen = self._wanted[: count + 2 * DELAY]
        self._wanted = self._wanted[count:]
        if seen.min() >= 1.0:
            return ready
        self.reduced = True
        lowest = ndimage.minimum_filter1d(seen, 2 * HOLD + 1, mode="nearest")[HOLD : len(seen) - HOLD]
        gains = signal.oaconvolve(lowest, self._bell, mode="valid")[:count]
        return np.asarray(ready * np.minimum(gains, 1.0)[:, None], dtype=np.float32)
