"""True peak by ITU-R BS.1770-4 annex 2: four-times oversampling, done only where it can matter."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from services.mixer.mixing.blocks import CHANNELS, Samples

_PHASE_0 = (
    *(0.0017089843750, 0.0109863281250, -0.0196533203125, 0.0332031250000, -0.0594482421875, 0.1373291015625),
    *(0.9721679687500, -0.1022949218750, 0.0476074218750, -0.0266113281250, 0.0148925781250, -0.0083007812500),
)
_PHASE_1 = (
    *(-0.0291748046875, 0.0292968750000, -0.0517578125000, 0.0891113281250, -0.1665039062500, 0.4650878906250),
    *(0.7797851562500, -0.2003173828125, 0.1015625000000, -0.0582275390625, 0.0330810546875, -0.0189208984375),
)
TAPS = 12
PART = 240
"""Samples (5 ms) that are oversampled or passed over together."""
OVERSHOOT = 10 ** (3.5 / 20)
"""The wave between samples may exceed them by this: √2 for a tone at a quarter of the rate, the worst that occurs."""
_AT_ONCE = 64
_STEP = 20
"""Samples that one row of the product below gives; PART is a multiple."""


class PeakFollower:
    """Peaks of a stereo stream, sample by sample, exact wherever they reach a level."""

    def __init__(self) -> None:
        """Begins in silence."""
        self._before = np.zeros((TAPS - 1, CHANNELS), dtype=np.float32)

    def follow(self, samples: Samples, level: float) -> tuple[Samples, float]:
        """
        For the next block `(n, 2)`: for each sample an upper bound of its peak that is the true peak of its last 12
        samples where that can reach `level`, and 0 elsewhere; and the highest true peak found.
        """
        window = np.concatenate([self._before, samples])
        self._before = window[-(TAPS - 1) :].copy()
        peaks = np.zeros(len(samples), dtype=np.float32)
        parts = _loud_parts(window, len(samples), level / OVERSHOOT)
        highest = 0.0
        for first in range(0, len(parts), _AT_ONCE):
            group = parts[first : first + _AT_ONCE]
            for part, found in zip(group, _oversampled(window, group), strict=True):
                room = peaks[part * PART : (part + 1) * PART]
                room[:] = found[: len(room)]
            highest = max(highest, float(peaks[group[0] * PART : (group[-1] + 1) * PART].max()))
        return peaks, highest


class PeakMeter:
    """The true peak of a stereo stream."""

    def __init__(self) -> None:
        """Begins in silence."""
        self._follower = PeakFollower()
        self.highest = 0.0
        """Linear."""

    def add(self, samples: Samples) -> None:
        """Takes the next block, shape `(n, 2)`."""
        # Only parts that could beat what was found so far need a closer look.
        level = max(self.highest, float(np.abs(samples).max(initial=0.0)), 1e-6)
        self.highest = max(level, self._follower.follow(samples, level)[1])

    @property
    def dbtp(self) -> float:
        """Decibels of full scale; −100 at least."""
        return max(-100.0, 20 * math.log10(max(self.highest, 1e-9)))


def _loud_parts(window: Samples, count: int, threshold: float) -> list[int]:
    """Numbers of the parts whose samples, with those before them that the filter sees, reach the threshold."""
    loudest = np.maximum(np.abs(window[:, 0]), np.abs(window[:, 1]))
    whole = -(-count // PART) * PART
    loudest = np.pad(loudest[: TAPS - 1 + count], (0, whole - count))
    own = loudest[TAPS - 1 :].reshape(-1, PART).max(axis=1)
    before = loudest[: len(own) * PART].reshape(-1, PART)[:, : TAPS - 1].max(axis=1)
    return [int(part) for part in np.flatnonzero(np.maximum(own, before) >= threshold)]


def _bank() -> NDArray[np.float32]:
    """
    Annex 2's filter as a matrix: `TAPS - 1 + _STEP` samples in a row times it are `_STEP` samples of each of the four
    phases, one phase after the other. As one product of matrices this is four times as fast as a filter.
    """
    bank = np.zeros((TAPS - 1 + _STEP, 4 * _STEP), dtype=np.float32)
    for phase, taps in enumerate((_PHASE_0, _PHASE_1, _PHASE_1[::-1], _PHASE_0[::-1])):
        for sample in range(_STEP):
            bank[sample : sample + TAPS, phase * _STEP + sample] = taps
    return bank


_BANK = _bank()


def _oversampled(window: Samples, parts: list[int]) -> NDArray[np.float32]:
    """The peak of the wave up to each sample of each part, shape `(parts, PART)`."""
    starts = np.array(parts)[:, None, None] * PART + np.arange(0, PART, _STEP)[:, None]
    rows = np.minimum(starts + np.arange(TAPS - 1 + _STEP), len(window) - 1)
    peaks = np.zeros((*rows.shape[:2], _STEP), dtype=np.float32)
    for channel in range(CHANNELS):
        heard = window[:, channel][rows]
        # One small product for each part: a large one would be spread over threads, which take the encoder's core.
        between = np.abs(heard @ _BANK)
        waves = (between[..., phase * _STEP : (phase + 1) * _STEP] for phase in range(4))
        for wave in (np.abs(heard[..., TAPS - 1 :]), *waves):
            np.maximum(peaks, wave, out=peaks)
    return peaks.reshape(len(parts), PART)
