"""Gains over time: full outside ranges, less within them, with smooth ramps before and after each."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from services.mixer.mixing.blocks import RATE, Samples
from services.mixer.mixing.plan import Range

ATTACK = RATE * 60 // 1000
"""Samples of the ramp that ends where a range begins, so that the first sound in it is already lowered."""
RELEASE = RATE * 100 // 1000
"""Samples of the ramp that begins where a range ends."""


class Shape:
    """A gain that is 1 outside ranges and their ramps: there samples pass bit by bit as they are."""

    def __init__(self, ranges: Iterable[Range], inside: float, fall: Samples, rise: Samples) -> None:
        """Ranges that overlap or lie closer than both ramps become one. `fall` and `rise` are the ramps' gains."""
        self._ranges = joined(ranges)
        self._inside = np.float32(inside)
        self._fall = fall
        self._rise = rise
        self._next = 0

    def apply(self, begin: int, samples: Samples) -> Samples:
        """The samples from position `begin`, shape `(n, channels)`, with the gain. Blocks come in order."""
        end = begin + len(samples)
        while self._next < len(self._ranges) and self._ranges[self._next][1] + RELEASE <= begin:
            self._next += 1
        shaped = samples
        for first, last in self._ranges[self._next :]:
            if first - ATTACK >= end:
                break
            if shaped is samples:
                shaped = samples.copy()
            self._scale(shaped, begin, first - ATTACK, self._fall)
            self._scale(shaped, begin, last, self._rise)
            inside = shaped[max(0, first - begin) : max(0, last - begin)]
            inside *= self._inside
        return shaped

    @staticmethod
    def _scale(samples: Samples, begin: int, start: int, gains: Samples) -> None:
        """Multiplies the part of `samples` (from position `begin`) that lies under `gains` (from `start`)."""
        low, high = max(begin, start), min(begin + len(samples), start + len(gains))
        if low < high:
            samples[low - begin : high - begin] *= gains[low - start : high - start, None]


class Ducker(Shape):
    """The gain of a background that is lowered in ranges."""

    def __init__(self, ranges: Iterable[Range], gain_db: float) -> None:
        """`gain_db` at most 0."""
        fall, rise = _ramp(ATTACK, gain_db), _ramp(RELEASE, gain_db)[::-1].copy()
        super().__init__(ranges if gain_db < 0 else (), 10 ** (gain_db / 20), fall, rise)


class Fader(Shape):
    """The gain of a sound that gives way to another in ranges: nothing of it is left there."""

    def __init__(self, ranges: Iterable[Range]) -> None:
        super().__init__(ranges, 0.0, _fade(ATTACK), _fade(RELEASE)[::-1].copy())


def joined(ranges: Iterable[Range]) -> list[tuple[int, int]]:
    """Ranges as sample positions, in order; those that overlap or whose ramps would meet are one."""
    result: list[tuple[int, int]] = []
    for part in sorted(ranges, key=lambda r: r.start_ms):
        first, last = part.start_ms * RATE // 1000, part.end_ms * RATE // 1000
        if last <= first:
            continue
        if result and first - result[-1][1] < ATTACK + RELEASE:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return result


def _ramp(length: int, gain_db: float) -> Samples:
    """From 1 down to the gain: a cosine in decibels, which starts and ends without a corner."""
    depth = 0.5 - 0.5 * np.cos(np.pi * np.arange(length) / length)
    return (10 ** (gain_db * depth / 20)).astype(np.float32)


def _fade(length: int) -> Samples:
    """From 1 down to 0: a cosine in amplitude."""
    return (0.5 + 0.5 * np.cos(np.pi * np.arange(length) / length)).astype(np.float32)
