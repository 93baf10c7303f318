"""The measured quality of a dubbed language, for the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from .fitting import OVERRUN, TOO_FAST
from .line import NO_ROOM, Line


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


def measure(lines: Sequence[Line], sound: Sound) -> Metrics:
    """The metrics of a language, from all of its lines, silent ones included."""
    placed = [line.placement for line in lines if line.placement]
    speeds = [placement.speed for placement in placed]
    errors = [abs(placement.onset_error_ms) for placement in placed]
    total = sum(line.source.end_ms - line.source.start_ms for line in lines)
    lost = sum(line.source.end_ms - line.source.start_ms for line in lines if not line.placement)
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
        dropped=len(lines) - len(placed),
        **{name: round(value, 2) for name, value in asdict(sound).items()},
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: a value that occurred; 0 where there is none."""
    if not values:
        return 0.0
    rank = max(1, math.ceil(percent / 100 * len(values)))
    return sorted(values)[rank - 1]


def overlap_ms(lines: Sequence[Line]) -> int:
    """Total time by which a line of a speaker begins before the speaker's line before it ended."""
    total = 0
    for speaker in {line.source.speaker for line in lines}:
        own = sorted(line.span for line in lines if line.span and line.source.speaker == speaker)
        total += sum(max(0, end - start) for (_, end), (start, _) in pairwise(own))
    return total


def report_line(index: int, line: Line) -> dict[str, Any]:
    """A line as it stands in `report.json`, placed or silent."""
    source, placed = line.source, line.placement
    return {
        "index": index,
        "start_ms": source.start_ms,
        "end_ms": source.end_ms,
        "speaker": source.speaker,
        "source_text": source.text,
        "text": line.text,
        "slot_ms": placed.slot_ms if placed else source.slot_ms,
        "natural_ms": line.natural_ms,
        "placed_start_ms": placed.start_ms if placed else None,
        "placed_end_ms": placed.end_ms if placed else None,
        "speed": placed.speed if placed else None,
        "onset_error_ms": placed.onset_error_ms if placed else None,
        "flags": line.flags,
    }
