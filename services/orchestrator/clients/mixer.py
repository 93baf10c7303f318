"""Calls to the mixer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from onevoice.common.v1.media_pb2 import TimeRange
from onevoice.mixer.v1 import mixer_service_pb2 as pb
from onevoice.mixer.v1.media_info_pb2 import MediaInfo
from onevoice.mixer.v1.mixer_service_pb2_grpc import MixerServiceStub
from onevoice_kit.grpc.converters import ref_from_proto, ref_to_proto
from onevoice_kit.grpc.streams import OnProgress, final_result
from onevoice_kit.storage.base import ObjectRef

from ..policy.line import Measured
from .base import for_media

_PRESETS = {
    "source": pb.LOUDNESS_PRESET_SOURCE,
    "-23": pb.LOUDNESS_PRESET_MINUS_23,
    "-16": pb.LOUDNESS_PRESET_MINUS_16,
    "-14": pb.LOUDNESS_PRESET_MINUS_14,
}


@dataclass(frozen=True, slots=True)
class Media:
    """A media file."""

    duration_ms: int
    has_video: bool
    audio_language: str
    """BCP-47, of the first audio stream; may be empty."""


@dataclass(frozen=True, slots=True)
class Sound:
    """The sound of a source, on the timeline of its picture."""

    speech: ObjectRef
    programme: ObjectRef
    loudness_lufs: float
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Clip:
    """A spoken line on the timeline."""

    audio: ObjectRef
    start_ms: int
    speed: float


@dataclass(frozen=True, slots=True)
class Mix:
    """A finished mix and what was measured."""

    audio: ObjectRef
    loudness_lufs: float
    true_peak_dbtp: float
    voice_gain_db: float
    voice: ObjectRef
    """The voice stem: the dub's lines alone, on the timeline of the mix and as loud as in it."""


@dataclass(frozen=True, slots=True)
class MixOrder:
    """The request of a mix."""

    background: ObjectRef
    clips: tuple[Clip, ...]
    duration_ms: int
    duck_ranges: tuple[tuple[int, int], ...]
    duck_gain_db: float
    loudness: str
    source_loudness_lufs: float
    separated: ObjectRef | None = None
    """Takes the place of the background in the duck ranges, with the duck gain."""


@dataclass(frozen=True, slots=True)
class Track:
    """A sound or subtitle track of the output."""

    ref: ObjectRef
    language: str
    title: str


@dataclass(frozen=True, slots=True)
class MuxOrder:
    """The parts of one file."""

    source: ObjectRef
    dub: Track
    original_language: str | None
    """None: without the original sound."""
    subtitles: tuple[Track, ...]
    burn_in: ObjectRef | None
    duration_ms: int


@dataclass(frozen=True, slots=True)
class MeasureOrder:
    """A finished file, and what is expected in it."""

    media: ObjectRef
    voice: ObjectRef
    original: ObjectRef
    """The sound that is meant to vanish under the dub."""
    lines: tuple[tuple[str, int, int], ...]
    """Id, start and end of the clip of each line that is spoken."""
    speech_regions: tuple[tuple[int, int], ...]
    """Detected speech of the original."""
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """A finished file, measured."""

    lines: dict[str, Measured]
    """By line id."""
    residue_db: float
    """Gain at which the original is left where it speaks."""
    loudness_lufs: float
    true_peak_dbtp: float
    duration_ms: int


class MixerClient:
    """The mixer."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = MixerServiceStub(channel)

    async def probe(self, source: ObjectRef) -> Media:
        """Describes a file; refuses one that is not a healthy file with sound."""
        request = pb.ProbeRequest(source=ref_to_proto(source), require_audio=True)
        info: MediaInfo = await final_result(self._stub.Probe(request, timeout=for_media(0, 0, base_s=600)))
        language = next((stream.language for stream in info.audio), "")
        return Media(info.duration_ms, info.HasField("video"), language)

    async def extract(self, source: ObjectRef, duration_ms: int, prefix: str, on_progress: OnProgress) -> Sound:
        """Extracts the sound."""
        request = pb.ExtractAudioRequest(source=ref_to_proto(source), output_prefix=prefix)
        call = self._stub.ExtractAudio(request, timeout=for_media(duration_ms, 1))
        result: pb.ExtractAudioResult = await final_result(call, on_progress=on_progress)
        speech, programme = ref_from_proto(result.speech), ref_from_proto(result.programme)
        return Sound(speech, programme, result.loudness_lufs, result.duration_ms)

    async def thumbnail(self, source: ObjectRef, at_ms: int, prefix: str) -> ObjectRef:
        """Takes a picture of the video."""
        request = pb.ThumbnailRequest(source=ref_to_proto(source), at_ms=at_ms, output_prefix=prefix)
        call = self._stub.Thumbnail(request, timeout=for_media(0, 0, base_s=600))
        result: pb.ThumbnailResult = await final_result(call)
        return ref_from_proto(result.image)

    async def mix(self, order: MixOrder, prefix: str, on_progress: OnProgress) -> Mix:
        """Mixes clips over the background."""
        request = pb.MixRequest(
            background=ref_to_proto(order.background),
            clips=[
                pb.Clip(audio=ref_to_proto(clip.audio), start_ms=clip.start_ms, speed=clip.speed)
                for clip in order.clips
            ],
            duration_ms=order.duration_ms,
            duck_ranges=_ranges(order.duck_ranges),
            duck_gain_db=order.duck_gain_db,
            loudness=_PRESETS[order.loudness],
            source_loudness_lufs=order.source_loudness_lufs,
            output_prefix=prefix,
            separated=ref_to_proto(order.separated) if order.separated else None,
        )
        call = self._stub.Mix(request, timeout=for_media(order.duration_ms, 2))
        result: pb.MixResult = await final_result(call, on_progress=on_progress)
        return Mix(
            ref_from_proto(result.audio),
            result.loudness_lufs,
            result.true_peak_dbtp,
            result.voice_gain_db,
            ref_from_proto(result.voice),
        )

    async def mux(self, order: MuxOrder, prefix: str) -> tuple[ObjectRef, int]:
        """Makes the dubbed file; returns it and its length in milliseconds."""
        request = pb.MuxRequest(
            source=ref_to_proto(order.source),
            tracks=[
                pb.AudioTrack(audio=ref_to_proto(order.dub.ref), language=order.dub.language, title=order.dub.title)
            ],
            keep_original_audio=order.original_language is not None,
            original_language=order.original_language or "",
            subtitles=[
                pb.SubtitleTrack(subtitles=ref_to_proto(track.ref), language=track.language, title=track.title)
                for track in order.subtitles
            ],
            burn_in=ref_to_proto(order.burn_in) if order.burn_in else None,
            duration_ms=order.duration_ms,
            output_prefix=prefix,
        )
        per_second = 4 if order.burn_in else 1
        call = self._stub.Mux(request, timeout=for_media(order.duration_ms, per_second))
        result: pb.MuxResult = await final_result(call)
        return ref_from_proto(result.media), result.info.duration_ms

    async def measure(self, order: MeasureOrder) -> Measurement:
        """Measures the dub in a finished file, which is its first sound track."""
        request = pb.MeasureRequest(
            media=ref_to_proto(order.media),
            voice=ref_to_proto(order.voice),
            original=ref_to_proto(order.original),
            lines=[pb.PlannedLine(id=line_id, start_ms=start, end_ms=end) for line_id, start, end in order.lines],
            speech_regions=_ranges(order.speech_regions),
        )
        call = self._stub.Measure(request, timeout=for_media(order.duration_ms, 1))
        result: pb.MeasureResult = await final_result(call)
        return Measurement(
            {line.id: _measured(line) for line in result.lines},
            result.residue_db,
            result.loudness_lufs,
            result.true_peak_dbtp,
            result.duration_ms,
        )


def _ranges(ranges: Sequence[tuple[int, int]]) -> list[TimeRange]:
    return [TimeRange(start_ms=start, end_ms=end) for start, end in ranges]


def _measured(line: pb.MeasuredLine) -> Measured:
    return Measured(
        line.present,
        line.onset_ms,
        line.end_ms,
        line.shift_ms,
        line.overlap_ms,
        line.cut_ms,
        round(line.correlation, 3),
        round(line.level_db, 2),
    )
