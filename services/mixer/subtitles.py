"""Reads SRT strictly and writes it anew, so that nothing but times and plain text reaches a media tool."""

from __future__ import annotations

import re
from dataclasses import dataclass

from onevoice_kit.errors import InvalidInput

MAX_BYTES = 8 << 20
_TIMES = re.compile(r"(\d{1,3}):(\d\d):(\d\d)[,.](\d{3})\s*-->\s*(\d{1,3}):(\d\d):(\d\d)[,.](\d{3})(?:\s.*)?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Cue:
    """One caption."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


def parse(data: bytes) -> list[Cue]:
    """Captions in order of time. Raises `InvalidInput` (reason `bad_subtitles`) for what is not SRT in UTF-8."""
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise _bad() from error
    blocks = [block.split("\n") for block in re.split(r"\n[ \t]*\n+", text.strip("\n")) if block.strip()]
    return sorted((_cue(block) for block in blocks), key=lambda cue: (cue.start_ms, cue.end_ms))


def write(cues: list[Cue], duration_ms: int) -> str:
    """SRT of the captions, cut at the end of the film; those that begin after it are left out."""
    shown = [cue for cue in cues if cue.start_ms < min(cue.end_ms, duration_ms) and any(cue.lines)]
    return "".join(
        f"{number}\n{_clock(cue.start_ms)} --> {_clock(min(cue.end_ms, duration_ms))}\n" + "\n".join(cue.lines) + "\n\n"
        for number, cue in enumerate(shown, start=1)
    )


def _cue(block: list[str]) -> Cue:
    lines = block[1:] if block[0].strip().isdigit() else block
    times = _TIMES.fullmatch(lines[0].strip()) if lines else None
    if times is None:
        raise _bad()
    numbers = [int(number) for number in times.groups()]
    return Cue(_ms(numbers[:4]), _ms(numbers[4:]), tuple(_plain(line) for line in lines[1:] if line.strip()))


def _plain(line: str) -> str:
    # Braces and backslashes would be commands to the renderer of burned-in captions, `<` would begin a tag.
    cleaned = _CONTROL.sub("", line).strip()
    return cleaned.replace("{", "(").replace("}", ")").replace("\\", "/").replace("<", "‹").replace(">", "›")


def _ms(parts: list[int]) -> int:
    hours, minutes, seconds, thousandths = parts
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths


def _clock(ms: int) -> str:
    return f"{ms // 3600000:02}:{ms // 60000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"


def _bad() -> InvalidInput:
    return InvalidInput("The subtitles are not SRT in UTF-8.", reason="bad_subtitles")
