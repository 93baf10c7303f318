"""Fits dubbed lines in time: how long a translation may be, when a line starts and how fast it is spoken."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from statistics import median

from onevoice_jobs.rates import chars_per_second

from .line import Line, Placement

GAP_MS = 50
"""Silence kept before the next line."""
MAX_EARLY_MS = 150
"""The most that a line may start before its onset."""
MAX_SPEED = 1.25
COMFORTABLE_SPEED = 1.10
"""A line is spoken up to this fast before it starts early."""
MIN_SPEED = 0.90
"""A line shorter than the original one is slowed down to this at most."""
MIN_MEDIAN_SPEED = 0.95
"""If half of the lines would be slower than this, none is: a dub as a whole keeps the voice's own pace."""
SMALLEST_STRETCH = 0.005
"""A speed nearer to 1 than this is 1: the difference is inaudible, and stretching costs quality."""
HARD_MAX_SPEED = 2.0
"""No line is spoken faster, whatever it costs: the mixer's limit."""
TOLERANCE_MS = 1
"""Rounding of times to whole milliseconds."""

OVERRUN = "overrun"
"""Flag: at the highest speed the line still ends after its slot."""
LATE = "late"
"""Flag: the line starts more than `MAX_EARLY_MS` after its onset, because the line before it overran."""
EARLY = "early"
"""Flag: the line starts more than `MAX_EARLY_MS` before its onset, to end before the source ends."""
TOO_FAST = "too_fast"
"""Flag: the line is spoken faster than `MAX_SPEED`, because the whole dub would not fit the source."""


def max_chars(slot_ms: int, language: str) -> int:
    """Most characters that can be spoken in `slot_ms` at a comfortable speed; at least 8."""
    return max(8, int(slot_ms / 1000 * chars_per_second(language) * COMFORTABLE_SPEED))


def fit(lines: Sequence[Line], duration_ms: int) -> list[Placement | None]:
    """
    Places lines, given in order of onset, on a source of `duration_ms`; None for a line that has no speech, or must
    stay silent.

    A line starts at its onset and may last until `GAP_MS` before the next one. Where it is too long it is first
    spoken up to `COMFORTABLE_SPEED`, then starts up to `MAX_EARLY_MS` early, then is spoken up to `MAX_SPEED`.
    What does not fit even so runs over, and the next line waits for it: lines never overlap and none is cut.
    A line shorter than the original one is spoken slower, down to `MIN_SPEED`, towards the original's length.

    No line ends after the source: lines move earlier, and as the last resort all are spoken as fast as that takes.
    Where `HARD_MAX_SPEED` is not enough the longest lines are left out until the others fit: so the fewest are lost.
    """
    kept = _kept(lines, duration_ms)
    chosen = [lines[i] for i in kept]
    placed = _place_all(chosen, duration_ms, MIN_SPEED)
    if placed and median(placement.speed for placement in placed) < MIN_MEDIAN_SPEED:
        placed = _place_all(chosen, duration_ms, MIN_MEDIAN_SPEED)
    by_index = dict(zip(kept, placed, strict=True))
    return [by_index.get(i) for i in range(len(lines))]


def _kept(lines: Sequence[Line], duration_ms: int) -> list[int]:
    """Indexes of the lines that fit the source at `HARD_MAX_SPEED`, in order."""
    spoken = [i for i, line in enumerate(lines) if line.speech and line.speech.audio]
    shortest_first = sorted(spoken, key=lambda i: lines[i].natural_ms)

    def too_many(count: int) -> bool:
        return not _all_fit([lines[i] for i in shortest_first[:count]], duration_ms, HARD_MAX_SPEED)

    return sorted(shortest_first[: bisect_left(range(1, len(spoken) + 1), True, key=too_many)])


def _place_all(lines: Sequence[Line], duration_ms: int, slowest: float) -> list[Placement]:
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
        if speed == 1.0:
            speed = _slowed(line, start, min(soft_end, hard_end), slowest)
        length = _length(line.natural_ms, speed)
        placements.append(_place(line, _slot(lines, i, duration_ms), start, start + length, speed, soft_end))
        free_from = start + length + GAP_MS
    return placements


def _length(natural_ms: int, speed: float) -> int:
    """Room that a line takes at a speed; never less than what the mixer makes of it, to the millisecond."""
    return math.ceil(round(natural_ms / speed, 6))


def _speed(natural_ms: int, soft_ms: int, hard_ms: int, limit: float) -> float:
    comfortable = natural_ms / soft_ms if soft_ms > 0 else limit
    needed = natural_ms / hard_ms if hard_ms > 0 else limit
    speed = max(1.0, min(comfortable, MAX_SPEED), needed)
    if speed < 1.0 + SMALLEST_STRETCH:
        speed = 1.0 if needed <= 1.0 else 1.0 + SMALLEST_STRETCH
    # Rounded up, so that a rounded speed never makes a line longer than its room.
    return min(limit, _ceil4(speed))


def _slowed(line: Line, start: int, end: int, slowest: float) -> float:
    """The speed that brings a short line nearest to the original's length; it ends no later than the original."""
    room = min(line.source.end_ms - line.source.start_ms, line.source.end_ms - start, end - start)
    if room <= line.natural_ms:
        return 1.0
    speed = _ceil4(max(slowest, line.natural_ms / room))
    return speed if speed <= 1.0 - SMALLEST_STRETCH else 1.0


def _ceil4(value: float) -> float:
    return math.ceil(round(value * 10_000, 6)) / 10_000


def _speed_limit(lines: Sequence[Line], duration_ms: int) -> float:
    """`MAX_SPEED`, or the least speed at which all lines, one after another, fit the source at all."""
    steps = range(round(MAX_SPEED * 10_000), round(HARD_MAX_SPEED * 10_000))
    return (steps.start + bisect_left(steps, True, key=lambda s: _all_fit(lines, duration_ms, s / 10_000))) / 10_000


def _all_fit(lines: Sequence[Line], duration_ms: int, speed: float) -> bool:
    gaps = GAP_MS * (len(lines) - 1)
    return sum(_length(line.natural_ms, speed) for line in lines) + gaps <= duration_ms


def _latest_starts(lines: Sequence[Line], duration_ms: int, limit: float) -> list[int]:
    """The last moment each line can start so that it and all after it end before the source does."""
    latest = [0] * len(lines)
    end = duration_ms
    for i in reversed(range(len(lines))):
        latest[i] = end - _length(lines[i].natural_ms, limit)
        end = latest[i] - GAP_MS
    return latest


def _wanted_starts(lines: Sequence[Line], duration_ms: int) -> list[int]:
    """The onset, or as much earlier as the line needs at a comfortable speed (and as the rules allow)."""
    wanted = [0] * len(lines)
    end = duration_ms
    for i in reversed(range(len(lines))):
        missing = lines[i].natural_ms / COMFORTABLE_SPEED - (end - lines[i].source.start_ms)
        early = min(max(int(missing), 0), MAX_EARLY_MS)
        wanted[i] = max(0, lines[i].source.start_ms - early)
        end = wanted[i] - GAP_MS
    return wanted


def _slot(lines: Sequence[Line], i: int, duration_ms: int) -> int:
    end = lines[i + 1].source.start_ms - GAP_MS if i + 1 < len(lines) else duration_ms
    return max(0, end - lines[i].source.start_ms)


def _place(line: Line, slot_ms: int, start: int, end: int, speed: float, soft_end: int) -> Placement:
    error = start - line.source.start_ms
    # A line that is not worth stretching may end this much later, and does not count as overrunning.
    tolerance = TOLERANCE_MS + line.natural_ms * SMALLEST_STRETCH
    flags = (
        (OVERRUN, end > soft_end + tolerance),
        (LATE, error > MAX_EARLY_MS),
        (EARLY, error < -MAX_EARLY_MS),
        (TOO_FAST, speed > MAX_SPEED),
    )
    return Placement(start, end, speed, slot_ms, error, tuple(flag for flag, raised in flags if raised))
