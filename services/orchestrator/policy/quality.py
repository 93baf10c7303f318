"""The quality of a dubbed language for the report: as planned, and as measured in the finished file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .captions import Conformance
from .fitting import OVERRUN, TOO_FAST
from .line import NO_ROOM, Line

Span = tuple[int, int]
"""Start and end, milliseconds."""

UNHEARD_MS = 500
"""Detected speech without a recognised line is listed from this length on: less is a breath."""
MARGIN_MS = 250
"""Detected speech this near to a line is part of it: the margin that detection leaves around speech."""
SHIFT_MS = 40
"""A line that lies farther than a frame from its plan is not where it should be."""
CUT_MS = 100
"""Missing sound that is heard as a cut."""
OVERLAP_MS = 60
"""Overlap that exceeds the error of its measurement."""
QUIET_DB = -6.0
"""Under this a line is much weaker in the file than it was mixed."""

MISSING = "missing"
"""Measured flag: the line's sound is not in the file."""
LATE = "late"
"""Measured flag: the line lies more than `SHIFT_MS` after its planned place."""
EARLY = "early"
"""Measured flag: the line lies more than `SHIFT_MS` before its planned place."""
OVERLAP = "overlap"
"""Measured flag: the line sounds together with another one."""
CUT = "cut"
"""Measured flag: sound is missing from the start or the end of the line."""
QUIET = "quiet"
"""Measured flag: the line is more than 6 dB weaker than it was mixed."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Measurements of the finished file as a whole."""

    loudness_lufs: float
    source_loudness_lufs: float
    """Of the source, for comparison."""
    true_peak_dbtp: float
    """After AAC."""
    length_delta_ms: int
    """Length of the file − length of the source."""
    residue_db: float
    """Gain at which the original is left where it speaks."""


@dataclass(frozen=True, slots=True)
class Planned:
    """Aggregates of the plan; the names are those of `report.json`."""

    budget_fit: float
    """Share of lines that fit their slot within the allowed speed, 0 to 1."""
    speed_p50: float
    speed_p95: float
    speed_max: float
    onset_error_p95_ms: int
    """95th percentile of the absolute difference between placed start and onset of the original."""
    overlap_ms: int
    """Time in which a speaker's lines overlap each other."""
    overruns: int
    silent: int
    """Lines without dubbed speech. The flags of each name the reason."""


@dataclass(frozen=True, slots=True)
class MeasuredFile:
    """Aggregates of the finished file; the names are those of `report.json`."""

    coverage: float
    """Share of the detected speech whose line was found in the file, 0 to 1."""
    dropped: int
    """Lines that were not found in the file, planned silence included."""
    onset_error_p95_ms: int
    """95th percentile of the absolute difference between the onset of the dub and that of the original."""
    shift_max_ms: int
    """Largest distance of a line from its planned place."""
    overlap_ms: int
    """Time in which more than one line sounds."""
    cut: int
    """Lines of which the start or the end is missing."""
    loudness_lufs: float
    source_loudness_lufs: float
    true_peak_dbtp: float
    length_delta_ms: int
    residue_db: float


def planned(lines: Sequence[Line]) -> Planned:
    """Aggregates of all lines of a language, silent ones included."""
    placed = [line.placement for line in lines if line.placement]
    speeds = [placement.speed for placement in placed]
    errors = [abs(placement.onset_error_ms) for placement in placed]
    misfits = sum(1 for line in lines if {OVERRUN, TOO_FAST, NO_ROOM} & set(line.flags))
    return Planned(
        budget_fit=round(1 - misfits / len(lines), 4) if lines else 0.0,
        speed_p50=percentile(speeds, 50),
        speed_p95=percentile(speeds, 95),
        speed_max=max(speeds, default=0.0),
        onset_error_p95_ms=int(percentile(errors, 95)),
        overlap_ms=sum(
            overlap_ms(line.span for line in lines if line.span and line.source.speaker == speaker)
            for speaker in {line.source.speaker for line in lines}
        ),
        overruns=sum(1 for line in lines if OVERRUN in line.flags),
        silent=len(lines) - len(placed),
    )


def measured(lines: Sequence[Line], regions: Sequence[Span], sound: Sound) -> MeasuredFile:
    """Aggregates of all lines of a language; `regions` are the detected speech of the source."""
    found = [(line, line.measured) for line in lines if line.measured and line.measured.present]
    errors = [abs(part.onset_ms - line.source.start_ms) for line, part in found]
    return MeasuredFile(
        coverage=coverage(regions, lines),
        dropped=len(lines) - len(found),
        onset_error_p95_ms=int(percentile(errors, 95)),
        shift_max_ms=max((abs(part.shift_ms) for _, part in found), default=0),
        overlap_ms=overlap_ms((part.onset_ms, part.end_ms) for _, part in found),
        cut=sum(1 for line in lines if CUT in measured_flags(line)),
        **{name: round(value, 2) for name, value in asdict(sound).items()},
    )


def coverage(regions: Sequence[Span], lines: Iterable[Line]) -> float:
    """Share of the detected speech, 0 to 1, that belongs to lines which were found in the file."""
    total = sum(end - start for start, end in _union(regions))
    found = [_own(line) for line in lines if line.measured and line.measured.present]
    lost = _without(regions, [(start - MARGIN_MS, end + MARGIN_MS) for start, end in found])
    return round(1 - sum(end - start for start, end in lost) / total, 4) if total else 0.0


def unheard(regions: Sequence[Span], lines: Iterable[Line]) -> list[Span]:
    """Detected speech in which recognition found no line, in pieces of at least `UNHEARD_MS`."""
    rest = _without(regions, [_own(line) for line in lines])
    return [(start, end) for start, end in rest if end - start >= UNHEARD_MS]


def measured_flags(line: Line) -> tuple[str, ...]:
    """Differences between plan and file; none for a line that is silent by plan."""
    found = line.measured
    if not line.audio or found is None:
        return ()
    if not found.present:
        return (MISSING,)
    raised = (
        (LATE, found.shift_ms > SHIFT_MS),
        (EARLY, found.shift_ms < -SHIFT_MS),
        (OVERLAP, found.overlap_ms > OVERLAP_MS),
        (CUT, found.cut_ms > CUT_MS),
        (QUIET, found.level_db < QUIET_DB),
    )
    return tuple(flag for flag, is_raised in raised if is_raised)


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: a value that occurred; 0 where there is none."""
    if not values:
        return 0.0
    rank = max(1, math.ceil(percent / 100 * len(values)))
    return sorted(values)[rank - 1]


def overlap_ms(spans: Iterable[Span]) -> int:
    """Total time that lies in more than one span."""
    total = until = counted = 0
    for start, end in sorted(spans):
        begin, last = max(start, counted), min(end, until)
        if last > begin:
            total, counted = total + last - begin, last
        until = max(until, end)
    return total


def report_line(index: int, line: Line) -> dict[str, Any]:
    """A line as it stands in `report.json`, placed or silent; `planned` and `measured` are None where it is silent."""
    source, placed, found = line.source, line.placement, line.measured
    onset_error_ms = found.onset_ms - source.start_ms if found and found.present else None
    return {
        "index": index,
        "start_ms": source.start_ms,
        "end_ms": source.end_ms,
        "speaker": source.speaker,
        "source_text": source.text,
        "text": line.text,
        "slot_ms": placed.slot_ms if placed else source.slot_ms,
        "natural_ms": line.natural_ms,
        "similarity": line.translation.similarity if line.translation else None,
        "flags": line.flags,
        "planned": {
            "start_ms": placed.start_ms,
            "end_ms": placed.end_ms,
            "speed": placed.speed,
            "onset_error_ms": placed.onset_error_ms,
        }
        if placed
        else None,
        "measured": {**asdict(found), "onset_error_ms": onset_error_ms, "flags": measured_flags(line)}
        if found
        else None,
    }


def metrics(lines: Sequence[Line], regions: Sequence[Span], sound: Sound, captions: Conformance) -> dict[str, Any]:
    """The aggregates of a language as they stand in `report.json`."""
    return {
        "planned": asdict(planned(lines)),
        "measured": asdict(measured(lines, regions, sound)),
        "captions": asdict(captions),
    }


def _own(line: Line) -> Span:
    return line.source.start_ms, line.source.end_ms


def _union(spans: Iterable[Span]) -> list[Span]:
    """The spans in order; those that touch or overlap are one."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _without(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """The parts of `spans` that are in none of `taken`, in order."""
    rest: list[Span] = []
    others = _union(taken)
    for start, end in _union(spans):
        at = start
        for first, last in others:
            if last > at and first < end:
                rest.append((at, first))
                at = last
        rest.append((at, end))
    return [(start, end) for start, end in rest if start < end]
