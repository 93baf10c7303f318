"""The sound under the dub: the programme ducked in ranges, or its separated background in its place there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from services.mixer.mixing.blocks import BLOCK, Reader, Samples, blocks, read_block
from services.mixer.mixing.ducking import Ducker, Fader, Shape
from services.mixer.mixing.levels import STEP, Levels


class Under(Protocol):
    """The sound under the dub over the timeline; used from the start, once."""

    def read(self, begin: int, end: int) -> Samples:
        """The samples of a block, shape `(n, 2)`. Blocks come in order."""
        ...


class Ducked:
    """The programme, lowered in ranges."""

    def __init__(self, programme: Reader, ducker: Ducker) -> None:
        self._programme = programme
        self._ducker = ducker

    def read(self, begin: int, end: int) -> Samples:
        """See `Under.read`."""
        return self._ducker.apply(begin, read_block(self._programme, end - begin))


class Separated:
    """
    The programme, and in ranges its separated background with a gain. The two fade into each other by amplitude, since
    they sound alike: what both have keeps its level.
    """

    def __init__(self, programme: Reader, background: Reader, fader: Fader, gain_db: float) -> None:
        self._programme = programme
        self._background = background
        self._fader = fader
        self._gain = np.float32(10 ** (gain_db / 20))

    def read(self, begin: int, end: int) -> Samples:
        """See `Under.read`."""
        programme = read_block(self._programme, end - begin)
        background = read_block(self._background, end - begin)
        kept = self._fader.apply(begin, np.ones((end - begin, 1), dtype=np.float32))
        return programme * kept + background * ((1 - kept) * self._gain)


def ducked_levels(programme: Levels, ducker: Ducker, total: int) -> Levels:
    """Levels of `Ducked`; `total` in samples. A gain that changes within a step counts with the mean of its square."""
    levels = Levels.silent(total // STEP)
    levels.add(programme, 0)
    for steps, gains in _curve(ducker, total):
        levels.energies[steps] *= (gains**2).mean(axis=1)
        levels.peaks[steps] *= gains.max(axis=1)
    return levels


def separated_levels(programme: Levels, background: Levels, fader: Fader, gain_db: float, total: int) -> Levels:
    """Levels of `Separated`; `total` in samples. Where one fades into the other they count as one sound."""
    levels, other = Levels.silent(total // STEP), Levels.silent(total // STEP)
    levels.add(programme, 0)
    other.add(background, 0)
    gain = np.float32(10 ** (gain_db / 20))
    for steps, kept in _curve(fader, total):
        outside, inside = kept.mean(axis=1), (1 - kept).mean(axis=1) * gain
        mixed = np.sqrt(levels.energies[steps]) * outside + np.sqrt(other.energies[steps]) * inside
        levels.energies[steps] = mixed**2
        levels.peaks[steps] = levels.peaks[steps] * outside + other.peaks[steps] * inside
    return levels


def _curve(shape: Shape, total: int) -> Iterator[tuple[slice, Samples]]:
    """The gains of a shape for each block: its steps, and the gains of their samples, shape `(steps, STEP)`."""
    even = np.ones((BLOCK, 1), dtype=np.float32)
    for begin, end in blocks(total // STEP * STEP):
        yield slice(begin // STEP, end // STEP), shape.apply(begin, even[: end - begin]).reshape(-1, STEP)
