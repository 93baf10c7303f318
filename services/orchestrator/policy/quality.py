"""The measured quality of a dubbed language, for the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from services.orchestrator.policy.fitting import OVERRUN, TOO_FAST


@dataclass(frozen=True, slots=True)
class DubbedLine:
    """A line as it stands in the dub; the names are those of `report.json`."""

    index: int
    start_ms: int
    end_ms: int
    speaker: str
    source_text: str
    text: str
    slot_ms: int
    natural_ms: int
    placed_start_ms: int
    placed_end_ms: int
    speed: float
    onset_error_ms: int
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sound:
    """What the mixer and the muxer measured."""

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
    """Source segments without a dubbed line."""
    loudness_lufs: float
    source_loudness_lufs: float
    true_peak_dbtp: float
    length_delta_ms: int


def measure(lines: Sequence[DubbedLine], dropped: Sequence[tuple[int, int]], sound: Sound) -> Metrics:
    """The metrics of a language; `dropped` are the time ranges of source segments without a line."""
    speeds = [line.speed for line in lines]
    spoken = sum(line.end_ms - line.start_ms for line in lines)
    lost = sum(end - start for start, end in dropped)
    misfits = sum(1 for line in lines if OVERRUN in line.flags or TOO_FAST in line.flags)
    return Metrics(
        coverage=round(spoken / (spoken + lost), 4) if spoken + lost else 0.0,
        budget_fit=round(1 - misfits / len(lines), 4) if lines else 0.0,
        speed_p50=percentile(speeds, 50),
        speed_p95=percentile(speeds, 95),
        speed_max=max(speeds, default=0.0),
        onset_error_p95_ms=int(percentile([abs(line.onset_error_ms) for line in lines], 95)),
        overlap_ms=overlap_ms(lines),
        overruns=sum(1 for line in lines if OVERRUN in line.flags),
        dropped=len(dropped),
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
        own = sorted((line for line in lines if line.speaker == speaker), key=lambda line: line.placed_start_ms)
        total += sum(max(0, first.placed_end_ms - second.placed_start_ms) for first, second in pairwise(own))
    return total
