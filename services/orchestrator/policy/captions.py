"""Captions: text cut into cues that can be read, their SRT and WebVTT forms, and the check of a file by the rules."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

LINE_CHARS = 42
CJK_LINE_CHARS = 16
MAX_LINES = 2
MAX_CHARS_PER_SECOND = 17.0
MIN_MS = 833
MAX_MS = 7_000
GAP_MS = 2
"""Cues that follow each other directly keep this much apart, so that rounding never makes them overlap."""
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters and direction overrides (UAX #9), which act on whatever displays the file."""

_TIMES = re.compile(r"(\d+):(\d\d):(\d\d),(\d{3}) --> (\d+):(\d\d):(\d\d),(\d{3})")


@dataclass(frozen=True, slots=True)
class Cue:
    """Text on the screen for a while."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spoken:
    """Text and when it is spoken."""

    start_ms: int
    end_ms: int
    text: str


def make_cues(spoken: Sequence[Spoken], duration_ms: int) -> list[Cue]:
    """
    Cues in time order, never overlapping, none after `duration_ms`: at most two lines of 42 characters (16 of CJK),
    shown 0.833–7 s and long enough for 17 characters a second where the silence after them allows.
    """
    rough = [cue for item in sorted(spoken, key=lambda item: item.start_ms) for cue in _cut(item)]
    return _readable(rough, duration_ms)


def _cut(item: Spoken) -> list[Cue]:
    pages = _balance(_UNSAFE.sub("", " ".join(item.text.split())))
    total = sum(_width(page) for page in pages) or 1
    cues: list[Cue] = []
    start, done = item.start_ms, 0
    for page in pages:
        done += _width(page)
        end = item.start_ms + round((item.end_ms - item.start_ms) * done / total)
        cues.append(Cue(start, end, tuple(page)))
        start = end
    return cues


def _balance(text: str) -> list[list[str]]:
    """Pages of at most two lines. A text that needs several pages is spread evenly over them."""
    if not text:
        return []
    limit = CJK_LINE_CHARS if is_cjk(text) else LINE_CHARS
    units, joint = (list(text), "") if is_cjk(text) else (_break_words(text, limit), " ")
    lines = _wrap(units, joint, limit)
    if len(lines) > 1:
        # The narrowest width that needs no more lines gives lines of even length.
        narrow = next(w for w in range(1, limit + 1) if _fits(units, joint, w, len(lines)))
        lines = _wrap(units, joint, narrow)
    return [lines[i : i + MAX_LINES] for i in range(0, len(lines), MAX_LINES)]


def _fits(units: list[str], joint: str, width: int, lines: int) -> bool:
    return max(map(len, units)) <= width and len(_wrap(units, joint, width)) <= lines


def _break_words(text: str, limit: int) -> list[str]:
    return [word[i : i + limit] for word in text.split() for i in range(0, len(word), limit)]


def _wrap(units: list[str], joint: str, limit: int) -> list[str]:
    lines = [units[0]]
    for unit in units[1:]:
        longer = lines[-1] + joint + unit
        if len(longer) <= limit:
            lines[-1] = longer
        else:
            lines.append(unit)
    return lines


def is_cjk(text: str) -> bool:
    """True where more than half of the characters are wide."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return wide * 2 > len(text)


def _width(page: Sequence[str]) -> int:
    return sum(map(len, page))


def _readable(cues: list[Cue], duration_ms: int) -> list[Cue]:
    """Extends cues into the silence after them, and before them where that is not enough for the shortest time."""
    result: list[Cue] = []
    for i, cue in enumerate(cues):
        limit = cues[i + 1].start_ms - GAP_MS if i + 1 < len(cues) else duration_ms
        reading = round(_width(cue.lines) / MAX_CHARS_PER_SECOND * 1000)
        wanted = max(cue.end_ms, cue.start_ms + min(MAX_MS, max(MIN_MS, reading)))
        end = min(wanted, cue.start_ms + MAX_MS, max(limit, cue.start_ms + 1), duration_ms)
        earliest = result[-1].end_ms + GAP_MS if result else 0
        start = max(earliest, min(cue.start_ms, end - MIN_MS))
        if start < end:
            result.append(replace(cue, start_ms=start, end_ms=end))
    return result


def to_srt(cues: Sequence[Cue]) -> str:
    """SubRip text; UTF-8, lines end in LF."""
    blocks = (
        f"{n}\n{_time(cue.start_ms, ',')} --> {_time(cue.end_ms, ',')}\n" + "\n".join(map(_plain, cue.lines)) + "\n"
        for n, cue in enumerate(cues, 1)
    )
    return "\n".join(blocks)


def to_vtt(cues: Sequence[Cue]) -> str:
    """WebVTT text (W3C WebVTT: `&`, `<`, `>` escaped, so text can never become markup or a cue timing)."""
    blocks = (
        f"{_time(cue.start_ms, '.')} --> {_time(cue.end_ms, '.')}\n"
        + "\n".join(html.escape(line, quote=False) for line in cue.lines)
        + "\n"
        for cue in cues
    )
    return "WEBVTT\n\n" + "\n".join(blocks)


def _plain(line: str) -> str:
    """SubRip has no escapes: what a player would take for a tag or a timing is written with look-alikes."""
    return line.replace("<", "‹").replace(">", "›").replace("{\\", "{⧵")


def _time(ms: int, point: str) -> str:
    seconds, millis = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{millis:03}"


@dataclass(frozen=True, slots=True)
class Conformance:
    """Numbers of cues, all of them and those that break a rule; the names are those of `report.json`."""

    cues: int
    too_many_lines: int
    """More than 2 lines."""
    too_wide: int
    """A line of more than 42 characters, or 16 of CJK."""
    too_fast: int
    """More than 17 characters a second."""
    too_short: int
    """Shown for less than 0.833 s."""
    too_long: int
    """Shown for more than 7 s."""
    overlapping: int
    """Shown before the cue before it ended."""


def conformance(cues: Sequence[Cue]) -> Conformance:
    """Checks each cue against each rule."""
    return Conformance(
        cues=len(cues),
        too_many_lines=sum(len(cue.lines) > MAX_LINES for cue in cues),
        too_wide=sum(any(len(line) > _width_limit(line) for line in cue.lines) for cue in cues),
        too_fast=sum(_reading_ms(cue) > cue.end_ms - cue.start_ms for cue in cues),
        too_short=sum(cue.end_ms - cue.start_ms < MIN_MS for cue in cues),
        too_long=sum(cue.end_ms - cue.start_ms > MAX_MS for cue in cues),
        overlapping=sum(after.start_ms < before.end_ms for before, after in pairwise(cues)),
    )


def from_srt(text: str) -> list[Cue]:
    """The cues of a SubRip text, in the order of the file."""
    cues = []
    for block in re.split(r"\n{2,}", text.strip()):
        _, _, rest = block.partition("\n")
        times, *lines = rest.split("\n")
        if found := _TIMES.match(times):
            numbers = [int(number) for number in found.groups()]
            cues.append(Cue(_ms(numbers[:4]), _ms(numbers[4:]), tuple(lines)))
    return cues


def _width_limit(line: str) -> int:
    return CJK_LINE_CHARS if is_cjk(line) else LINE_CHARS


def _reading_ms(cue: Cue) -> int:
    """Time in which the text can be read, rounded as the captions are made."""
    return round(sum(map(len, cue.lines)) / MAX_CHARS_PER_SECOND * 1000)


def _ms(parts: Sequence[int]) -> int:
    hours, minutes, seconds, millis = parts
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis
