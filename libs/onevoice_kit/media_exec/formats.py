"""The containers that outside files may have: one list for the media tools and for the first bytes of an upload."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

HEAD_BYTES = 4096
"""Bytes from the start of a file that are enough to find its format."""


@dataclass(frozen=True, slots=True)
class Format:
    """A container, by the beginning of its files."""

    media_type: str
    """Of a file that may hold both: that of video."""
    start: re.Pattern[bytes]


def _format(media_type: str, start: bytes) -> Format:
    return Format(media_type, re.compile(start, re.DOTALL))


FORMATS: Mapping[str, Format] = {
    "mov": _format("video/mp4", rb".{4}(?:ftyp|moov|mdat|wide|free|skip|pnot)"),
    "webm": _format("video/webm", rb"\x1aE\xdf\xa3.{,60}webm"),
    "matroska": _format("video/x-matroska", rb"\x1aE\xdf\xa3"),
    "avi": _format("video/x-msvideo", rb"RIFF.{4}AVI[ X]"),
    # Packets of 188 bytes, or of 192 with a time before each.
    "mpegts": _format("video/mp2t", rb"G(?:.{187}G){2}|.{4}G(?:.{191}G){2}"),
    "mpeg": _format("video/mpeg", rb"\x00\x00\x01\xba"),
    "asf": _format("video/x-ms-asf", rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"),
    "wav": _format("audio/wav", rb"(?:RIFF|RIFX|RF64).{4}WAVE"),
    "w64": _format("audio/x-w64", rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"),
    "aiff": _format("audio/aiff", rb"FORM.{4}AIF[FC]"),
    "caf": _format("audio/x-caf", rb"caff\x00"),
    "au": _format("audio/basic", rb"\.snd"),
    "flac": _format("audio/flac", rb"fLaC"),
    # MPEG 1, 2 and 2.5, layers II and III. Layer I would take UTF-16 text for sound.
    "mp3": _format("audio/mpeg", rb"ID3[\x02-\x04]|\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd]"),
    "ogg": _format("application/ogg", rb"OggS"),
    "aac": _format("audio/aac", rb"\xff[\xf0\xf1\xf8\xf9]"),
    "ac3": _format("audio/ac3", rb"\x0bw.{3}[\x00-\x57]"),
    "eac3": _format("audio/eac3", rb"\x0bw.{3}[\x58-\x87]"),
    "amr": _format("audio/amr", rb"#!AMR(?:-WB)?\n"),
    "wv": _format("audio/x-wavpack", rb"wvpk"),
}
"""By ffmpeg's name of the container. None of them can name another file: no playlist, no image sequence, no script."""

DEMUXERS = tuple(FORMATS)
"""Containers that ffmpeg and ffprobe may open."""


def media_type_of(head: bytes) -> str | None:
    """The media type of a file that starts with `head` (`HEAD_BYTES`); None where it is none of `FORMATS`."""
    return next((known.media_type for known in FORMATS.values() if known.start.match(head)), None)
