"""Facts of a media file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """A video stream."""

    index: int
    codec: str
    width: int
    height: int
    frame_rate: float
    """Average, frames a second; 0 where unknown."""
    start_s: float
    """On the timeline of the file, whose zero is where a player starts."""
    duration_s: float


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """An audio stream."""

    index: int
    codec: str
    sample_rate: int
    channels: int
    language: str
    """The language tag as it stands in the file; empty for none."""
    start_s: float
    duration_s: float


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """A media file."""

    container: str
    """As ffprobe names it, for example `mov,mp4,m4a,3gp,3g2,mj2`."""
    duration_s: float
    """From where a player starts to the end of the video, or of the sound where there is no video."""
    video: VideoFacts | None
    """The first video stream that is not a cover picture."""
    audio: tuple[AudioFacts, ...]
