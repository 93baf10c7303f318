"""Solves the gains of a mix from the levels of its parts; the pass over the timeline that mixes, limits and writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from services.mixer.mixing.blocks import BLOCK, Samples, blocks
from services.mixer.mixing.levels import STEP, Levels
from services.mixer.mixing.limiter import Limiter
from services.mixer.mixing.loudness import HOP, SILENT, Energies, HopMeter, integrated
from services.mixer.mixing.pipes import PipeWriter
from services.mixer.mixing.stem import StemWriter
from services.mixer.mixing.truepeak import PeakMeter
from services.mixer.mixing.under import Under
from services.mixer.mixing.voice import Placed, Voice
from services.mixer.progress import Report

LOWEST_DB, HIGHEST_DB = -24.0, 20.0
"""Bounds of the voice's gain: past them a wrong input is more likely than a good mix."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Hop energies of background and voice, which have nothing in common: every gain's loudness follows at once."""

    background: Energies
    voice: Energies
    peak: float
    """Bound of the highest sample of background plus voice as they are, linear: how near the limiter is."""

    def loudness(self, voice_gain: float) -> float:
        """Integrated loudness, LUFS, of the background plus the voice times `voice_gain` (linear)."""
        return integrated(self.background + voice_gain**2 * self.voice)

    def solve(self, target_lufs: float) -> float:
        """The voice's gain, dB, that gives the target or comes nearest to it; 0 where there is nothing to aim for."""
        if not self.voice.any() or target_lufs <= SILENT:
            return 0.0
        low, high = LOWEST_DB, HIGHEST_DB
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (middle, high) if self.loudness(10 ** (middle / 20)) < target_lufs else (low, middle)
        return (low + high) / 2


@dataclass(frozen=True, slots=True)
class Gains:
    """Gains of a mix."""

    voice_db: float
    common_db: float
    ceiling_dbtp: float


@dataclass(slots=True)
class Measured:
    """Measurements of a pass."""

    loudness_lufs: float = SILENT
    true_peak_dbtp: float = -100.0
    limited: bool = field(default=False)


class Outputs(NamedTuple):
    """The outputs of the pass; None: this part is dropped."""

    mix: BinaryIO | None = None
    """A pipe for stereo float32."""
    voice: Path | None = None
    """The file of the voice stem: the voice alone, as loud as in the mix."""


def measure(background: Levels, clips: Sequence[Placed], total: int) -> Parts:
    """The parts of a mix, from the levels of what lies under the dub and of its clips alone; `total` in samples."""
    voice = Levels.silent(total // STEP)
    for clip in clips:
        voice.add(clip.levels, clip.start)
    peak = float((background.peaks + voice.peaks).max(initial=0.0))
    # The voice sounds from both sides: twice its energy.
    return Parts(background.hops(), 2 * voice.hops(), peak)


def render(under: Under, voice: Voice, total: int, gains: Gains, out: Outputs, report: Report) -> Measured:
    """
    The pass over the timeline; `total` is in samples. The voice stem is written before the limiter, which acts on the
    mix as a whole.
    """
    limiter = Limiter(10 ** (gains.ceiling_dbtp / 20))
    sink, stem = _Sink(out.mix), StemWriter(out.voice)
    silence = np.zeros(BLOCK, dtype=np.float32)
    with sink.writer, stem:
        for begin, end in blocks(total):
            background = under.read(begin, end)
            spoken = _gained(voice.read(begin, end), gains)
            stem.write(silence[: end - begin] if spoken is None else spoken)
            sink.take(limiter.push(_sum(background, spoken, gains)))
            report(end / total)
        sink.take(limiter.finish())
        sink.rest()
    return Measured(integrated(sink.loudness.energies()), sink.peak.dbtp, limiter.reduced)


def _gained(spoken: Samples | None, gains: Gains) -> Samples | None:
    """The voice as loud as in the mix."""
    return None if spoken is None else spoken * np.float32(10 ** ((gains.voice_db + gains.common_db) / 20))


def _sum(background: Samples, spoken: Samples | None, gains: Gains) -> Samples:
    """The background under the voice, which has its gain already."""
    under = background if gains.common_db == 0.0 else background * np.float32(10 ** (gains.common_db / 20))
    return under if spoken is None else under + spoken[:, None]


class _Sink:
    """Cuts what the limiter gives into whole hops again, measures it and writes it."""

    def __init__(self, out: BinaryIO | None) -> None:
        self.writer = PipeWriter(out)
        self.loudness = HopMeter(channels=2)
        self.peak = PeakMeter()
        self._kept: list[Samples] = []
        self._length = 0

    def take(self, samples: Samples) -> None:
        self._kept.append(samples)
        self._length += len(samples)
        if self._length >= HOP:
            joined = np.concatenate(self._kept)
            whole = len(joined) // HOP * HOP
            self._pass_on(joined[:whole])
            self._kept, self._length = [joined[whole:]], len(joined) - whole

    def rest(self) -> None:
        """Passes on what is left; it may end within a hop."""
        if self._length:
            self._pass_on(np.concatenate(self._kept))

    def _pass_on(self, samples: Samples) -> None:
        self.writer.write(samples)
        self.loudness.add(samples)
        self.peak.add(samples)
