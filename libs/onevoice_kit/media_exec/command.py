"""The command line of ffmpeg, built from typed parts; no outsider's string can become a part."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from onevoice_kit.media_exec.formats import DEMUXERS
from onevoice_kit.media_exec.limits import DECODERS, MediaLimits
from onevoice_kit.media_exec.workspace import MediaFile

_WORD = re.compile(r"[A-Za-z0-9_.,:;=+*/?|()%\[\]-]*")
PIPE: Literal["pipe"] = "pipe"
"""Standard input of an input, standard output of an output."""

Own = Literal["f32le", "wav", "srt", "ffmetadata", "mov"]
"""Formats of files that we wrote ourselves, where the one format is known."""


@dataclass(frozen=True, slots=True)
class Input:
    """Something ffmpeg reads."""

    file: MediaFile | Literal["pipe"]
    options: tuple[str, ...] = ()
    """Options before `-i`, fixed words and numbers."""
    threads: Literal[1, 2] = 2
    """Of the decoder: each more holds a picture more."""
    own: Own | None = None
    """Set for a file of our own making: exactly this format is opened. None: an outside file, the allow-list holds."""

    def argv(self, limits: MediaLimits) -> list[str]:
        """Options and `-i`; the guards come last, so that no option can undo them."""
        where = "pipe:0" if self.file == "pipe" else f"file:{self.file.name}"
        chosen = ["-f", self.own] if self.own else []
        return [*_words(self.options), *chosen, *guards(limits, self.own, self.threads), "-i", where]


@dataclass(frozen=True, slots=True)
class Output:
    """Something ffmpeg writes."""

    file: MediaFile | Literal["pipe"]
    options: tuple[str, ...]
    """Options of this output, with the muxer named by `-f`."""

    def argv(self) -> list[str]:
        """Options and the name."""
        return [*_words(self.options), "pipe:1" if self.file == "pipe" else f"file:{self.file.name}"]


@dataclass(frozen=True, slots=True)
class Command:
    """One run of ffmpeg."""

    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    filters: str = ""
    """A filtergraph for `-filter_complex`."""

    def argv(self, limits: MediaLimits) -> list[str]:
        """The arguments after the program's name."""
        inputs = [word for part in self.inputs for word in part.argv(limits)]
        outputs = [word for part in self.outputs for word in part.argv()]
        graph = ["-filter_complex", word(self.filters)] if self.filters else []
        start = ["-hide_banner", "-nostdin", "-nostats", "-y", "-loglevel", "warning"]
        # Filters with a thread for each processor would keep a picture for each.
        start += ["-filter_threads", "1", "-filter_complex_threads", "1"]
        return [*start, *inputs, *graph, *outputs]


def guards(limits: MediaLimits, own: Own | None = None, threads: int = 2) -> list[str]:
    """
    The options that every input is opened with. The format list must be given: without it ffmpeg 5.1 follows a
    playlist that is named like a video to other files of the machine.
    """
    formats = own or ",".join(DEMUXERS)
    decoders = "srt,subrip" if own == "srt" else ",".join(DECODERS)
    return [
        *("-protocol_whitelist", "file,pipe", "-format_whitelist", formats, "-codec_whitelist", decoders),
        *("-max_streams", str(limits.max_streams), "-max_pixels", str(limits.max_pixels), "-threads", str(threads)),
    ]


def word(text: str) -> str:
    """The text, if it is made of the signs that options and filtergraphs need; `ValueError` otherwise."""
    if not _WORD.fullmatch(text):
        raise ValueError("not a fixed argument")
    return text


def _words(options: tuple[str, ...]) -> list[str]:
    return [word(option) for option in options]
