"""Describes a media file, and refuses one that is not taken, with the reason."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
from collections.abc import Iterator
from typing import Any

from onevoice_kit.errors import Internal
from onevoice_kit.media_exec.facts import AudioFacts, MediaFacts, VideoFacts
from onevoice_kit.media_exec.ffmpeg import Ffmpeg
from onevoice_kit.media_exec.iso import check_index
from onevoice_kit.media_exec.limits import CODECS, MediaLimits
from onevoice_kit.media_exec.reasons import bad_media, reason_in
from onevoice_kit.media_exec.workspace import MediaFile, Workspace

_STATED = ("mov", "matroska", "wav", "w64", "aiff", "caf", "flac", "avi")
"""Containers whose header states the duration; of the others ffprobe estimates it, so their packets are counted."""
_TAIL_S = 10.0
_TOLERANCE_S = 1.0
_MIN_SCORE = 20
"""Of ffprobe's guess at the format, 0 to 100; noise is taken for MP3 with a score of 1."""


_ENTRIES = (
    "-show_entries",
    (
        "format=format_name,duration,start_time,probe_score"
        ":stream=index,codec_type,codec_name,width,height,avg_frame_rate,start_time,duration,sample_rate,channels"
        ":stream_disposition=attached_pic:stream_tags=language"
    ),
)


async def probe(
    ffmpeg: Ffmpeg, file: MediaFile, workspace: Workspace, *, require_audio: bool = False, own: bool = False
) -> MediaFacts:
    """
    The facts of a file. Raises `InvalidInput` with reason `empty_file`, `file_too_large`, `not_media`,
    `truncated_media`, `forbidden_format`, `unsupported_codec`, `too_many_streams`, `picture_too_large`, `too_long`,
    `no_audio`, `media_too_complex`, `media_unreadable`, `bad_index`, `too_many_frames`, `frame_rate_too_high`.
    `own`: a whole file that we have just written. Where its header states all lengths its packets are not read.
    """
    _check_size(ffmpeg, file)
    await asyncio.to_thread(check_index, file.path, ffmpeg.limits)
    with _unreadable():
        return await _probe(ffmpeg, file, workspace, require_audio, own)


async def _probe(ffmpeg: Ffmpeg, file: MediaFile, workspace: Workspace, require_audio: bool, own: bool) -> MediaFacts:
    shown, messages = await ffmpeg.probe_json(file, workspace, *_ENTRIES)
    _check_streams(ffmpeg, shown, messages)
    stated = _stated(shown) and all(stream.get("duration") for stream in _played(shown["streams"]))
    ends = {} if own and stated else await _last_packets(ffmpeg, file, workspace, shown)
    facts = _facts(shown, ends)
    if facts.duration_s > ffmpeg.limits.max_duration_s:
        raise bad_media("too_long", limit_s=f"{ffmpeg.limits.max_duration_s:.0f}")
    if require_audio and not facts.audio:
        raise bad_media("no_audio")
    return facts


@contextlib.contextmanager
def _unreadable() -> Iterator[None]:
    """A file on which ffprobe fails in an unknown way, or crashes, is a bad file; the log has the messages."""
    try:
        yield
    except Internal as error:
        raise bad_media("media_unreadable") from error


def _check_size(ffmpeg: Ffmpeg, file: MediaFile) -> None:
    size = file.path.stat().st_size
    if size == 0:
        raise bad_media("empty_file")
    if size > ffmpeg.limits.max_file_bytes:
        raise bad_media("file_too_large", limit_bytes=str(ffmpeg.limits.max_file_bytes))


def _check_streams(ffmpeg: Ffmpeg, shown: dict[str, Any], messages: str) -> None:
    streams = shown.get("streams", [])
    if len(streams) > ffmpeg.limits.max_streams or reason_in(messages) == "too_many_streams":
        raise bad_media("too_many_streams", limit=str(ffmpeg.limits.max_streams))
    if shown["format"].get("probe_score", 0) < _MIN_SCORE or not _played(streams):
        raise bad_media("not_media")
    for stream in _played(streams):
        if int(stream.get("width", 0)) * int(stream.get("height", 0)) > ffmpeg.limits.max_pixels:
            raise bad_media("picture_too_large", limit_pixels=str(ffmpeg.limits.max_pixels))
        if stream.get("codec_name") not in CODECS:
            raise bad_media("unsupported_codec")
        if stream["codec_type"] == "video" and not stream.get("width"):
            raise bad_media(reason_in(messages) or "not_media")


def _played(streams: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Video and audio streams, without cover pictures."""
    played = [stream for stream in streams if stream.get("codec_type") in ("video", "audio")]
    return [stream for stream in played if not stream.get("disposition", {}).get("attached_pic")]


async def _last_packets(
    ffmpeg: Ffmpeg, file: MediaFile, workspace: Workspace, shown: dict[str, Any]
) -> dict[int, float]:
    """
    End of the last packet of each stream, seconds on the file's own clock. A file whose header promises more than
    its packets hold is `truncated_media`.
    """
    stated = _number(shown["format"].get("duration"))
    origin = _number(shown["format"].get("start_time"))
    trusted = _stated(shown)
    packets = _Packets(ffmpeg.limits, {s["index"] for s in _played(shown["streams"]) if s["codec_type"] == "video"})
    tail = ("-read_intervals", f"{max(0.0, origin + stated - _TAIL_S):.3f}%") if trusted else ()
    wanted = ("-show_entries", "packet=stream_index,pts_time,duration_time")
    await ffmpeg.probe_lines(file, workspace, packets.keep, *tail, *wanted)
    if not packets.ends or (trusted and _cut_short(shown, packets.ends, origin)):
        raise bad_media("truncated_media")
    packets.check_rate()
    return packets.ends


class _Packets:
    """Sums over the packets that ffprobe lists: when each stream ends, and how many there are."""

    def __init__(self, limits: MediaLimits, video: set[int]) -> None:
        self.ends: dict[int, float] = {}
        self._begins: dict[int, float] = {}
        self._counts: dict[int, int] = dict.fromkeys(video, 0)
        self._count = 0
        self._limits = limits

    def keep(self, line: str) -> None:
        """Takes one packet: stream, time and length in seconds."""
        self._count += 1
        if self._count > self._limits.max_packets:
            raise bad_media("too_many_frames", limit=str(self._limits.max_packets))
        index, pts, duration = [*line.split(","), "", "", ""][:3]
        if not index.isdigit():
            return
        stream = int(index)
        if stream in self._counts:
            self._counts[stream] += 1
            if self._counts[stream] > self._limits.max_frames:
                raise bad_media("too_many_frames", limit=str(self._limits.max_frames))
        if pts not in ("", "N/A"):
            begin = _number(pts)
            self._begins[stream] = min(self._begins.get(stream, begin), begin)
            self.ends[stream] = max(self.ends.get(stream, 0.0), begin + _number(duration))

    def check_rate(self) -> None:
        """Refuses a video with too many frames in the time that they cover; a second more is allowed for the edges."""
        for stream, count in self._counts.items():
            seconds = self.ends.get(stream, 0.0) - self._begins.get(stream, 0.0)
            if count > self._limits.max_frame_rate * (seconds + 1):
                raise bad_media("frame_rate_too_high", limit=f"{self._limits.max_frame_rate:.0f}")


def _stated(shown: dict[str, Any]) -> bool:
    """True where the header states the length of the file."""
    container = str(shown["format"].get("format_name", "")).split(",")[0]
    return container in _STATED and _number(shown["format"].get("duration")) > 0


def _cut_short(shown: dict[str, Any], ends: dict[int, float], origin: float) -> bool:
    if max(ends.values()) < origin + _number(shown["format"]["duration"]) - _TOLERANCE_S:
        return True
    for stream in _played(shown["streams"]):
        promised = _number(stream.get("start_time")) + _number(stream.get("duration"))
        if stream.get("duration") and ends.get(stream["index"], promised - _TAIL_S) < promised - _TOLERANCE_S:
            return True
    return False


def _facts(shown: dict[str, Any], ends: dict[int, float]) -> MediaFacts:
    origin = _number(shown["format"].get("start_time"))
    trusted = _stated(shown)
    played = _played(shown["streams"])
    video = next((_video(s, ends, origin, trusted) for s in played if s["codec_type"] == "video"), None)
    audio = tuple(_audio(s, ends, origin, trusted) for s in played if s["codec_type"] == "audio")
    ending = [video.start_s + video.duration_s] if video else [part.start_s + part.duration_s for part in audio]
    return MediaFacts(
        container=shown["format"]["format_name"], duration_s=max(ending, default=0.0), video=video, audio=audio
    )


def _video(stream: dict[str, Any], ends: dict[int, float], origin: float, trusted: bool) -> VideoFacts:
    start, duration = _span(stream, ends, origin, trusted)
    return VideoFacts(
        index=stream["index"],
        codec=stream["codec_name"],
        width=int(stream["width"]),
        height=int(stream["height"]),
        frame_rate=_ratio(stream.get("avg_frame_rate", "0/0")),
        start_s=start,
        duration_s=duration,
    )


def _audio(stream: dict[str, Any], ends: dict[int, float], origin: float, trusted: bool) -> AudioFacts:
    start, duration = _span(stream, ends, origin, trusted)
    language = str(stream.get("tags", {}).get("language", ""))
    return AudioFacts(
        index=stream["index"],
        codec=stream["codec_name"],
        sample_rate=int(stream.get("sample_rate", 0)),
        channels=int(stream.get("channels", 0)),
        language=language if re.fullmatch(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*", language) else "",
        start_s=start,
        duration_s=duration,
    )


def _span(stream: dict[str, Any], ends: dict[int, float], origin: float, trusted: bool) -> tuple[float, float]:
    """Start on the file's timeline and length, both in seconds."""
    begins = _number(stream.get("start_time"))
    counted = max(0.0, ends.get(stream["index"], begins) - begins)
    stated = _number(stream.get("duration")) if trusted else 0.0
    return max(0.0, begins - origin), stated or counted


def _number(text: object) -> float:
    """A finite number; 0 for anything else."""
    try:
        number = float(str(text))
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def _ratio(text: str) -> float:
    above, _, below = text.partition("/")
    return _number(above) / _number(below) if _number(below) else 0.0
