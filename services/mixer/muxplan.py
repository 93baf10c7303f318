"""Chooses container, codecs and command line of a mux."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from onevoice_kit.languages import to_iso639
from onevoice_kit.media_exec import Command, Input, MediaFacts, MediaFile, Output, VideoFacts

_MP4_VIDEO = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video"})
_MP4_AUDIO = frozenset({"aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"})
"""Codecs that are put into MP4 as they are. Other sound is encoded again; other video needs Matroska."""
_FRAME_S = 0.04
"""Longer than one frame of any of these sound codecs."""
_FRUGAL = "sliced-threads=1:sync-lookahead=0:rc-lookahead=0:mbtree=0:bframes=0"
"""Keeps the encoder from holding many pictures: burning into 4K then takes 330 MB instead of 990."""
_LARGE_PIXELS = 1920 * 1200
"""Pictures beyond this are encoded frugally."""
_ROOM_BYTES = 4 << 20
_ROOM_BYTES_PER_S = 32_000
"""Original sound that is encoded again takes 24,000, the index of 60 frames a second and of six tracks the rest."""


@dataclass(frozen=True, slots=True)
class Container:
    """The kind of file to write."""

    suffix: Literal["mp4", "mkv", "m4a"]
    content_type: str
    muxer: tuple[str, ...]
    subtitle_codec: str
    audio: frozenset[str] | None
    """Sound codecs it takes as they are; None: all."""


_MP4_MUXER = ("-movflags", "+faststart", "-f", "mp4")
MP4 = Container("mp4", "video/mp4", _MP4_MUXER, "mov_text", _MP4_AUDIO)
M4A = Container("m4a", "audio/mp4", _MP4_MUXER, "mov_text", _MP4_AUDIO)
MKV = Container("mkv", "video/x-matroska", ("-f", "matroska"), "srt", None)


def container_for(source: MediaFacts, *, burned: bool) -> Container:
    """MP4 wherever the video can be copied into it."""
    if source.video is None:
        return M4A
    return MP4 if burned or source.video.codec in _MP4_VIDEO else MKV


@dataclass(frozen=True, slots=True)
class Titled:
    """A track with its tags."""

    file: MediaFile
    language: str
    title: str


@dataclass(frozen=True, slots=True)
class Parts:
    """The plan of the file: its streams and their sources."""

    source: MediaFile
    facts: MediaFacts
    tracks: tuple[Titled, ...]
    original_language: str | None
    """None: the original sound is left out."""
    subtitles: tuple[Titled, ...]
    burn_in: MediaFile | None
    duration_ms: int

    def metadata(self) -> str:
        """
        The titles as an FFMETADATA file, one section for each track and then each subtitle: the way for an
        outsider's text that passes no command line.
        """
        sections = [_section(_escaped(one.title)) for one in (*self.tracks, *self.subtitles)]
        return ";FFMETADATA1\n" + "".join(sections)


def room(parts: Parts) -> int:
    """
    Bytes that the file may take: each input once, and a margin by the length. An input whose packets are the same
    bytes many times would otherwise fill the disk.
    """
    files = [parts.source, *(track.file for track in (*parts.tracks, *parts.subtitles))]
    inputs = sum(file.path.stat().st_size for file in files)
    per_second: float = _ROOM_BYTES_PER_S
    if parts.burn_in is not None and parts.facts.video is not None:
        per_second += _burned_bits_per_s(parts.facts.video) / 8
    return inputs + _ROOM_BYTES + round(per_second * max(parts.duration_ms / 1000, parts.facts.duration_s))


def _is_large(parts: Parts) -> bool:
    """A picture of more than HD is encoded again."""
    video = parts.facts.video
    return parts.burn_in is not None and video is not None and video.width * video.height > _LARGE_PIXELS


def _burned_bits_per_s(video: VideoFacts) -> int:
    """Half a bit for each pixel of a second; four times what such a picture needs at this quality."""
    rate = min(max(video.frame_rate, 25.0), 120.0)
    return round(max(1e6, video.width * video.height * rate / 2))


def command(parts: Parts, titles: MediaFile, output: MediaFile, container: Container) -> Command:
    """Input 0 is the source, 1 the titles, then dubbed tracks, subtitles, and the source again for its sound."""
    first_subtitle = 2 + len(parts.tracks)
    inputs = [
        Input(parts.source, threads=1 if _is_large(parts) else 2),
        Input(titles, own="ffmetadata"),
        *(Input(track.file, own="mov") for track in parts.tracks),
        *(Input(track.file, own="srt") for track in parts.subtitles),
    ]
    options = [*_video(parts), *_dubbed(parts)]
    if parts.original_language is not None:
        options += _original(parts, len(inputs), container)
        inputs.append(Input(parts.source, _until(parts)))
    options += _subtitles(parts, first_subtitle, container)
    options += [
        "-map_metadata",
        "0",
        "-max_muxing_queue_size",
        "9999",
        "-max_interleave_delta",
        "3000000",
        *container.muxer,
    ]
    return Command(tuple(inputs), (Output(output, tuple(options)),), _burning(parts))


def _burning(parts: Parts) -> str:
    """The filtergraph that burns captions in; empty for none. The file's name is the workspace's."""
    if parts.burn_in is None or parts.facts.video is None:
        return ""
    return f"[0:{parts.facts.video.index}]subtitles=filename={parts.burn_in.name}[burned]"


def _video(parts: Parts) -> list[str]:
    if parts.facts.video is None:
        return []
    if parts.burn_in is not None:
        quality = ("-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p", "-fps_mode", "passthrough")
        rate = str(_burned_bits_per_s(parts.facts.video))
        bounds: tuple[str, ...] = ("-maxrate:v", rate, "-bufsize:v", rate, "-threads:v", "2")
        bounds += ("-x264-params", _FRUGAL) if _is_large(parts) else ()
        return ["-map", "[burned]", "-c:v", "libx264", *quality, *bounds, "-enc_time_base:v", "-1"]
    # Apple's players know HEVC in MP4 only under this name.
    tag = ["-tag:v", "hvc1"] if parts.facts.video.codec == "hevc" else []
    return ["-map", f"0:{parts.facts.video.index}", "-c:v", "copy", *tag]


def _dubbed(parts: Parts) -> list[str]:
    options = []
    for place, track in enumerate(parts.tracks):
        options += ["-map", f"{2 + place}:a:0", f"-c:a:{place}", "copy", f"-map_metadata:s:a:{place}", f"1:s:{place}"]
        options += [f"-metadata:s:a:{place}", f"language={to_iso639(track.language)}"]
        options += [f"-disposition:a:{place}", "0" if place else "default"]
    return options


def _original(parts: Parts, number: int, container: Container) -> list[str]:
    """The original sound as the last track: as it is where the container takes its codec."""
    place, audio = len(parts.tracks), parts.facts.audio[0]
    kept = container.audio is None or audio.codec in container.audio
    options = ["-map", f"{number}:{audio.index}", f"-c:a:{place}", "copy" if kept else "aac"]
    options += [] if kept else [f"-b:a:{place}", "192k"]
    options += [f"-metadata:s:a:{place}", f"language={to_iso639(parts.original_language or '')}"]
    return [*options, f"-disposition:a:{place}", "default" if place == 0 else "0"]


def _until(parts: Parts) -> tuple[str, ...]:
    """Sound that plays on after the video is cut before the video's end: it must not make the file longer."""
    audio = parts.facts.audio[0]
    if audio.start_s + audio.duration_s <= parts.duration_ms / 1000 or parts.duration_ms / 1000 <= 2 * _FRAME_S:
        return ()
    return ("-t", f"{parts.duration_ms / 1000 - _FRAME_S:.3f}")


def _subtitles(parts: Parts, first: int, container: Container) -> list[str]:
    options = []
    for place, track in enumerate(parts.subtitles):
        options += ["-map", f"{first + place}:s:0", f"-c:s:{place}", container.subtitle_codec]
        options += [f"-map_metadata:s:s:{place}", f"1:s:{len(parts.tracks) + place}"]
        options += [f"-metadata:s:s:{place}", f"language={to_iso639(track.language)}", f"-disposition:s:{place}", "0"]
    return options


def _section(title: str) -> str:
    # Matroska shows `title`; players of MP4 show the name of the handler.
    return f"[STREAM]\ntitle={title}\nhandler_name={title}\n" if title else "[STREAM]\n"


def _escaped(title: str) -> str:
    """A title for an FFMETADATA file: one line of at most 200 signs, its special signs behind backslashes."""
    line = re.sub(r"[\x00-\x1f\x7f\u2028\u2029]+", " ", title)[:200]
    return re.sub(r"([=;#\\])", r"\\\1", line)
