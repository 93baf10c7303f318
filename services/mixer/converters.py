"""Between messages and what the use cases take and give."""

from __future__ import annotations

from dataclasses import asdict

from onevoice.common.v1 import media_pb2, progress_pb2
from onevoice.mixer.v1 import media_info_pb2
from onevoice.mixer.v1 import mixer_service_pb2 as pb
from onevoice_kit.errors import InvalidInput
from onevoice_kit.grpc.converters import ref_from_proto, ref_to_proto
from onevoice_kit.languages import from_media_tag
from onevoice_kit.media_exec import MediaFacts
from services.mixer.extraction import Extraction, ExtractionJob
from services.mixer.measuring import MeasureJob, Measurement, PlannedLine
from services.mixer.mixing.plan import Clip, Loudness, Mix, MixJob, Range
from services.mixer.muxing import Muxed, MuxJob, Track
from services.mixer.probing import ProbeJob
from services.mixer.thumbnail import ThumbnailJob

_LOUDNESS = {
    pb.LOUDNESS_PRESET_UNSPECIFIED: Loudness.SOURCE,
    pb.LOUDNESS_PRESET_SOURCE: Loudness.SOURCE,
    pb.LOUDNESS_PRESET_MINUS_23: Loudness.MINUS_23,
    pb.LOUDNESS_PRESET_MINUS_16: Loudness.MINUS_16,
    pb.LOUDNESS_PRESET_MINUS_14: Loudness.MINUS_14,
}


def probe_job(request: pb.ProbeRequest) -> ProbeJob:
    """Request of Probe."""
    return ProbeJob(ref_from_proto(request.source), request.require_audio)


def extraction_job(request: pb.ExtractAudioRequest) -> ExtractionJob:
    """Request of ExtractAudio."""
    return ExtractionJob(ref_from_proto(request.source), request.output_prefix)


def thumbnail_job(request: pb.ThumbnailRequest) -> ThumbnailJob:
    """Request of Thumbnail."""
    return ThumbnailJob(ref_from_proto(request.source), request.at_ms, request.width, request.output_prefix)


def mix_job(request: pb.MixRequest) -> MixJob:
    """Request of Mix."""
    if request.loudness not in _LOUDNESS:
        raise InvalidInput("The loudness preset is not known.", reason="bad_loudness")
    return MixJob(
        background=ref_from_proto(request.background),
        clips=tuple(
            Clip(ref_from_proto(clip.audio), clip.start_ms, clip.speed or 1.0, clip.gain_db) for clip in request.clips
        ),
        duration_ms=request.duration_ms,
        duck_ranges=tuple(_range(part) for part in request.duck_ranges),
        duck_gain_db=request.duck_gain_db,
        loudness=_LOUDNESS[request.loudness],
        source_loudness_lufs=request.source_loudness_lufs,
        output_prefix=request.output_prefix,
        separated=ref_from_proto(request.separated) if request.HasField("separated") else None,
    )


def mux_job(request: pb.MuxRequest) -> MuxJob:
    """Request of Mux."""
    return MuxJob(
        source=ref_from_proto(request.source),
        tracks=tuple(Track(ref_from_proto(t.audio), t.language, t.title) for t in request.tracks),
        keep_original_audio=request.keep_original_audio,
        original_language=request.original_language,
        subtitles=tuple(Track(ref_from_proto(t.subtitles), t.language, t.title) for t in request.subtitles),
        burn_in=ref_from_proto(request.burn_in) if request.HasField("burn_in") else None,
        duration_ms=request.duration_ms,
        output_prefix=request.output_prefix,
    )


def measure_job(request: pb.MeasureRequest) -> MeasureJob:
    """Request of Measure."""
    return MeasureJob(
        media=ref_from_proto(request.media),
        track=request.track,
        voice=ref_from_proto(request.voice),
        original=ref_from_proto(request.original),
        lines=tuple(PlannedLine(line.id, line.start_ms, line.end_ms) for line in request.lines),
        speech_regions=tuple(_range(part) for part in request.speech_regions),
    )


def media_info(facts: MediaFacts) -> media_info_pb2.MediaInfo:
    """The result of a probe."""
    info = media_info_pb2.MediaInfo(duration_ms=_ms(facts.duration_s), container=facts.container)
    if facts.video:
        video = facts.video
        info.video.codec, info.video.width, info.video.height = video.codec, video.width, video.height
        info.video.frame_rate, info.video.duration_ms = video.frame_rate, _ms(video.duration_s)
    for audio in facts.audio:
        info.audio.add(
            index=audio.index,
            codec=audio.codec,
            sample_rate=audio.sample_rate,
            channels=audio.channels,
            language=from_media_tag(audio.language),
            duration_ms=_ms(audio.duration_s),
        )
    return info


def extraction_result(extraction: Extraction) -> pb.ExtractAudioResult:
    """Result of ExtractAudio."""
    return pb.ExtractAudioResult(
        speech=ref_to_proto(extraction.speech),
        programme=ref_to_proto(extraction.programme),
        loudness_lufs=extraction.loudness_lufs,
        duration_ms=extraction.duration_ms,
    )


def mix_result(mix: Mix) -> pb.MixResult:
    """Result of Mix."""
    return pb.MixResult(
        audio=ref_to_proto(mix.audio),
        loudness_lufs=mix.loudness_lufs,
        true_peak_dbtp=mix.true_peak_dbtp,
        voice_gain_db=mix.voice_gain_db,
        duration_ms=mix.duration_ms,
        placed_ms=mix.placed_ms,
        voice=ref_to_proto(mix.voice),
    )


def mux_result(muxed: Muxed) -> pb.MuxResult:
    """Result of Mux."""
    return pb.MuxResult(media=ref_to_proto(muxed.media), info=media_info(muxed.info))


def measure_result(measurement: Measurement) -> pb.MeasureResult:
    """Result of Measure."""
    return pb.MeasureResult(
        lines=[pb.MeasuredLine(**asdict(line)) for line in measurement.lines],
        residue_db=measurement.residue_db,
        loudness_lufs=measurement.loudness_lufs,
        true_peak_dbtp=measurement.true_peak_dbtp,
        duration_ms=measurement.duration_ms,
    )


def progress(fraction: float) -> progress_pb2.Progress:
    """The progress of a call."""
    return progress_pb2.Progress(fraction=fraction)


def _range(message: media_pb2.TimeRange) -> Range:
    if message.start_ms < 0 or message.end_ms < message.start_ms:
        raise InvalidInput("A range ends before it starts.", reason="bad_range")
    return Range(message.start_ms, message.end_ms)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
