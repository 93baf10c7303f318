"""Conformance of caption files to the rules of captions, read back from the file that the user gets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .captions import CJK_LINE_CHARS, LINE_CHARS, MAX_CHARS_PER_SECOND, MAX_LINES, MAX_MS, MIN_MS, Cue, is_cjk

_TIMES = re.compile(r"(\d+):(\d\d):(\d\d),(\d{3}) --> (\d+):(\d\d):(\d\d),(\d{3})")


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
