"""Loudness by ITU-R BS.1770-4: K-weighting, energies of 100 ms hops, gated mean of 400 ms blocks."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from services.mixer.mixing.blocks import RATE, Samples

Energies = NDArray[np.float64]
"""Mean square of the K-weighted samples, summed over the channels, of each 100 ms hop."""

HOP = RATE // 10
SILENT = -70.0
"""LUFS of the absolute gate; what is reported for silence."""

_K_WEIGHTING = np.array(
    [
        # BS.1770-4, tables 1 and 2, for 48 kHz: the head as a sphere, then the low cut.
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585],
        [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621],
    ]
)


_HUSH = np.float32(1e-10)
"""
Amplitude of a tone at half the rate that is added to what is filtered: in digital silence the numbers of the filter's
state would become denormal, and each sample takes ten times as long. 200 dB under full scale it changes no result.
"""


class KFilter:
    """K-weighting of a stream, block by block."""

    def __init__(self, channels: int) -> None:
        """`channels` of each block."""
        # float32 halves the time; its error on the result is below 0.001 LU (tested).
        self._sections = _K_WEIGHTING.astype(np.float32)
        self._state = np.zeros((2, channels, 2), dtype=np.float32)

    def apply(self, samples: Samples) -> Samples:
        """Weighted samples, channels first: `(n, channels)` → `(channels, n)`."""
        rows = np.array(samples.T, dtype=np.float32, order="C")
        rows[:, ::2] += _HUSH
        rows[:, 1::2] -= _HUSH
        weighted, self._state = signal.sosfilt(self._sections, rows, axis=-1, zi=self._state)
        return np.asarray(weighted, dtype=np.float32)


class HopMeter:
    """Collects the hop energies of a stream; blocks must be whole hops, except the last."""

    def __init__(self, channels: int) -> None:
        """`channels` of each block."""
        self._filter = KFilter(channels)
        self._hops: list[Energies] = []

    def add(self, samples: Samples) -> None:
        """Takes the next block, shape `(n, channels)`."""
        weighted = self._filter.apply(samples)
        hops = weighted.shape[1] // HOP
        parts = weighted[:, : hops * HOP].reshape(len(weighted), hops, HOP)
        self._hops.append(np.einsum("chn,chn->h", parts, parts).astype(np.float64) / HOP)

    def energies(self) -> Energies:
        """Of all hops so far."""
        return np.concatenate(self._hops) if self._hops else np.zeros(0)


def integrated(hops: Energies) -> float:
    """
    Integrated loudness, LUFS: BS.1770-4 equations 3 to 7. Blocks of 400 ms overlap by 75 %; blocks under −70 LUFS
    and then those 10 LU under the mean of the rest do not count. −70 where nothing is left.
    """
    if len(hops) < 4:
        return SILENT
    powers = np.convolve(hops, np.full(4, 0.25), mode="valid")
    loud = powers[powers > _power(SILENT)]
    if not len(loud):
        return SILENT
    kept = loud[loud > loud.mean() / 10]
    return max(SILENT, loudness(float(kept.mean())))


def loudness(power: float) -> float:
    """LUFS of a K-weighted power."""
    return -0.691 + 10 * math.log10(power)


def _power(lufs: float) -> float:
    return float(10 ** ((lufs + 0.691) / 10))
