"""The measured quality of a dubbed language, for the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from services.orchestrator.policy.fitting import NO_ROOM, OVERRUN, TOO_FAST


@dataclass(frozen=True, slots=True)
class DubbedLine:
    """A line as it stands in the dub, placed or silent; the names are those of `report.json`."""

    index: int
    start_ms: int
    end_ms: int
    speaker: str
    source_text: str
    text: str
    slot_ms: int
    natural_ms: int
    placed_start_ms: int | None
    """None, as the three after it, where the line is silent."""
    placed_end_ms: int | None
    speed: float | None
    onset_error_ms: int | None
    flags: tuple[str, ...]

    @property
    def span(self) -> tuple[int, int] | None:
        """Start and end in the dub; None where the line is silent."""
        if self.placed_start_ms is None or self.placed_end_ms is None:
            return None
        return self.placed_start_ms, self.placed_end_ms


@dataclass(frozen=True, slots=True)
class Sound:
    """Measurements of the mixer and the muxer."""

    loudness_lufs: float
    source_loudness_lufs: float
    true_peak_dbtp: float
    length_delta_ms: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """Aggregates of one language; the names are those of `report.json`."""

    coverage: float
    """Share of the source's spoken time whose line is dubbed, 0 to 1."""
    budget_fit: float
    """Share of lines that fit their slot within the allowed speed, 0 to 1."""
    speed_p50: float
    speed_p95: float
    speed_max: float
    onset_error_p95_ms: int
    """95th percentile of the absolute onset error."""
    overlap_ms: int
    """Time in which a speaker's lines overlap each other."""
    overruns: int
    dropped: int
    """Silent lines: source segments without dubbed speech. The flags of each name the reason."""
    loudness_lufs: float
    source_loudness_lufs: float
    true_peak_dbtp: float
    length_delta_ms: int


def measure(lines: Sequence[DubbedLine], sound: Sound) -> Metrics:
    """The metrics of a language, from all of its lines, silent ones included."""
    speeds = [line.speed for line in lines if line.speed is not None]
    errors = [abs(line.onset_error_ms) for line in lines if line.onset_error_ms is not None]
    silent = [line for line in lines if line.span is None]
    total = sum(line.end_ms - line.start_ms for line in lines)
    lost = sum(line.end_ms - line.start_ms for line in silent)
    misfits = sum(1 for line in lines if {OVERRUN, TOO_FAST, NO_ROOM} & set(line.flags))
    return Metrics(
        coverage=round((total - lost) / total, 4) if total else 0.0,
        budget_fit=round(1 - misfits / len(lines), 4) if lines else 0.0,
        speed_p50=percentile(speeds, 50),
        speed_p95=percentile(speeds, 95),
        speed_max=max(speeds, default=0.0),
        onset_error_p95_ms=int(percentile(errors, 95)),
        overlap_ms=overlap_ms(lines),
        overruns=sum(1 for line in lines if OVERRUN in line.flags),
        dropped=len(silent),
        **{name: round(value, 2) for name, value in asdict(sound).items()},
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: a value that occurred; 0 where there is none."""
    if not values:
        return 0.0
    rank = max(1, math.ceil(percent / 100 * len(values)))
    return sorted(values)[rank - 1]


def overlap_ms(lines: Sequence[DubbedLine]) -> int:
    """Total time by which a line of a speaker begins before the speaker's line before it ended."""
    total = 0
    for speaker in {line.speaker for line in lines}:
        own = sorted(line.span for line in lines if line.span and line.speaker == speaker)
        total += sum(max(0, end - start) for (_, end), (start, _) in pairwise(own))
    return total
