"""The request of a mix and its checks."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from onevoice_kit.errors import InvalidInput
from onevoice_kit.storage.base import ObjectRef


@dataclass(frozen=True, slots=True)
class Range:
    """A half-open range on the timeline, milliseconds."""

    start_ms: int
    end_ms: int


class Loudness(enum.StrEnum):
    """Loudness of the mix."""

    SOURCE = "source"
    MINUS_23 = "-23"
    MINUS_16 = "-16"
    MINUS_14 = "-14"


@dataclass(frozen=True, slots=True)
class Clip:
    """A spoken clip on the timeline."""

    audio: ObjectRef
    """WAV."""
    start_ms: int
    speed: float = 1.0
    """Speaking-rate factor, the pitch kept; 0.5 to 2."""
    gain_db: float = 0.0


@dataclass(frozen=True, slots=True)
class MixJob:
    """The request of a mix."""

    background: ObjectRef
    clips: tuple[Clip, ...]
    duration_ms: int
    duck_ranges: tuple[Range, ...]
    duck_gain_db: float
    """At most 0."""
    loudness: Loudness
    source_loudness_lufs: float
    """0 for unknown, where `loudness` does not need it: the voice then keeps the level it comes with."""
    output_prefix: str
    separated: ObjectRef | None = None
    """The background without its voices: in the duck ranges it takes the place of `background`, with the duck gain."""


@dataclass(frozen=True, slots=True)
class Mix:
    """A finished mix."""

    audio: ObjectRef
    """AAC in MP4, 48 kHz, stereo."""
    voice: ObjectRef
    """The voice stem, on the timeline and as loud as in the mix: WAV, 16 kHz, mono."""
    loudness_lufs: float
    true_peak_dbtp: float
    voice_gain_db: float
    duration_ms: int
    placed_ms: tuple[int, ...]
    """Length of each clip as placed, in the order of the job."""


MAX_CLIPS = 20_000
MAX_DURATION_MS = 24 * 3600 * 1000


def check(job: MixJob) -> None:
    """
    Raises `InvalidInput` with reason `bad_duration`, `too_many_clips`, `bad_clip`, `clip_out_of_range`, `bad_duck` or
    `bad_loudness`.
    """
    if not 0 < job.duration_ms <= MAX_DURATION_MS:
        raise InvalidInput("The length of the mix is not valid.", reason="bad_duration")
    if len(job.clips) > MAX_CLIPS:
        raise InvalidInput(f"A mix takes at most {MAX_CLIPS} clips.", reason="too_many_clips")
    for number, clip in enumerate(job.clips):
        if not (0.5 <= clip.speed <= 2.0 and -60 <= clip.gain_db <= 24):
            raise InvalidInput(f"Speed or gain of clip {number} is not valid.", reason="bad_clip")
        if not 0 <= clip.start_ms < job.duration_ms:
            raise out_of_range(number)
    if job.loudness is Loudness.SOURCE and job.source_loudness_lufs == 0:
        raise InvalidInput("The loudness of the source is needed and missing.", reason="bad_loudness")
    if not -100 <= job.duck_gain_db <= 0 or not math.isfinite(job.source_loudness_lufs):
        raise InvalidInput("The background cannot be raised where the voice speaks.", reason="bad_duck")


def out_of_range(number: int) -> InvalidInput:
    """The error of a clip that does not lie within the mix; `number` counts from 0."""
    return InvalidInput(
        f"Clip {number} does not end before the mix does.", reason="clip_out_of_range", details={"clip": str(number)}
    )
