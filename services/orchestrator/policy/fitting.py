"""Fits dubbed lines in time: when each starts and how fast it is spoken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

GAP_MS = 50
"""Silence kept before the next line."""
MAX_EARLY_MS = 150
"""How far before its onset a line may start."""
MAX_SPEED = 1.25
COMFORTABLE_SPEED = 1.10
"""A line is spoken up to this fast before it starts early."""
TOLERANCE_MS = 1
"""Rounding of times to whole milliseconds."""
_HARD_MAX_SPEED = 2.0

OVERRUN = "overrun"
"""Flag: at the highest speed the line still ends after its slot."""
LATE = "late"
"""Flag: the line starts more than `MAX_EARLY_MS` after its onset, because the line before it overran."""
EARLY = "early"
"""Flag: the line starts more than `MAX_EARLY_MS` before its onset, to end before the source ends."""
TOO_FAST = "too_fast"
"""Flag: the line is spoken faster than `MAX_SPEED`, because the whole dub would not fit the source."""


@dataclass(frozen=True, slots=True)
class Line:
    """A spoken line and where it belongs."""

    start_ms: int
    """Onset of the original line."""
    end_ms: int
    natural_ms: int
    """Length as synthesized."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a line is put."""

    start_ms: int
    end_ms: int
    speed: float
    slot_ms: int
    """Time from the onset to `GAP_MS` before the next line, or to the end of the source."""
    onset_error_ms: int
    """Placed start − onset; negative is early."""
    flags: tuple[str, ...]


def fit(lines: Sequence[Line], duration_ms: int) -> list[Placement]:
    """
    Places lines, given in order of onset, on a source of `duration_ms`.

    A line starts at its onset and may last until `GAP_MS` before the next one. Where it is too long it is first
    spoken up to `COMFORTABLE_SPEED`, then starts up to `MAX_EARLY_MS` early, then is spoken up to `MAX_SPEED`.
    What does not fit even so runs over, and the next line waits for it: lines never overlap and none is cut.
    No line ends after the source: lines move earlier, and as the last resort are spoken faster, to keep that.
    """
    if not lines:
        return []
    limit = _speed_limit(lines, duration_ms)
    latest = _latest_starts(lines, duration_ms, limit)
    wanted = _wanted_starts(lines, duration_ms)
    placements: list[Placement] = []
    free_from = 0
    for i, line in enumerate(lines):
        # `latest` already allows for the lines before, so it never lies before `free_from`.
        start = max(free_from, min(wanted[i], latest[i]))
        soft_end = (wanted[i + 1] - GAP_MS) if i + 1 < len(lines) else duration_ms
        hard_end = (latest[i + 1] - GAP_MS) if i + 1 < len(lines) else duration_ms
        speed = _speed(line.natural_ms, soft_end - start, hard_end - start, limit)
        length = min(int(line.natural_ms / speed), max(hard_end - start, 0))
        placements.append(_place(line, _slot(lines, i, duration_ms), start, start + length, speed, soft_end))
        free_from = start + length + GAP_MS
    return placements


def _speed(natural_ms: int, soft_ms: int, hard_ms: int, limit: float) -> float:
    comfortable = natural_ms / soft_ms if soft_ms > 0 else limit
    needed = natural_ms / hard_ms if hard_ms > 0 else limit
    # Rounded up, so that a rounded speed never makes a line longer than its room.
    return min(limit, _ceil4(max(1.0, min(comfortable, MAX_SPEED), needed)))


def _ceil4(value: float) -> float:
    return math.ceil(round(value * 10_000, 6)) / 10_000


def _speed_limit(lines: Sequence[Line], duration_ms: int) -> float:
    """`MAX_SPEED`, or the least speed at which all lines, one after another, fit the source at all."""
    room = duration_ms - GAP_MS * (len(lines) - 1)
    spoken = sum(line.natural_ms for line in lines)
    if spoken <= room * MAX_SPEED:
        return MAX_SPEED
    return min(_HARD_MAX_SPEED, _ceil4(spoken / room)) if room > 0 else _HARD_MAX_SPEED


def _latest_starts(lines: Sequence[Line], duration_ms: int, limit: float) -> list[int]:
    """The last moment each line can start so that it and all after it end before the source does."""
    latest = [0] * len(lines)
    end = duration_ms
    for i in reversed(range(len(lines))):
        latest[i] = max(0, end - math.ceil(lines[i].natural_ms / limit))
        end = latest[i] - GAP_MS
    return latest


def _wanted_starts(lines: Sequence[Line], duration_ms: int) -> list[int]:
    """The onset, or as much earlier as the line needs at a comfortable speed (and as the rules allow)."""
    wanted = [0] * len(lines)
    end = duration_ms
    for i in reversed(range(len(lines))):
        missing = lines[i].natural_ms / COMFORTABLE_SPEED - (end - lines[i].start_ms)
        early = min(max(int(missing), 0), MAX_EARLY_MS)
        wanted[i] = max(0, lines[i].start_ms - early)
        end = wanted[i] - GAP_MS
    return wanted


def _slot(lines: Sequence[Line], i: int, duration_ms: int) -> int:
    end = lines[i + 1].start_ms - GAP_MS if i + 1 < len(lines) else duration_ms
    return max(0, end - lines[i].start_ms)


def _place(line: Line, slot_ms: int, start: int, end: int, speed: float, soft_end: int) -> Placement:
    error = start - line.start_ms
    flags = (
        (OVERRUN, end > soft_end + TOLERANCE_MS),
        (LATE, error > MAX_EARLY_MS),
        (EARLY, error < -MAX_EARLY_MS),
        (TOO_FAST, speed > MAX_SPEED),
    )
    return Placement(start, end, speed, slot_ms, error, tuple(flag for flag, raised in flags if raised))
