"""Between the messages of the contract and the types of this service."""

from __future__ import annotations

from collections.abc import Iterable

from onevoice.asr.v1 import asr_service_pb2, transcript_pb2
from onevoice.common.v1 import engine_pb2, media_pb2, progress_pb2
from onevoice_kit.grpc.converters import engine_to_proto, engine_use_to_proto, ref_to_proto
from services.asr.conversation import WantedWords
from services.asr.detection import SpeechMap
from services.asr.diarization import Speakers
from services.asr.engines.base import Capabilities, Gender, Speaker, TimeRange, Turn, Utterance, Word
from services.asr.identification import Identified
from services.asr.separation import Separated
from services.asr.transcription import Recognised


def ranges_from_proto(messages: Iterable[media_pb2.TimeRange]) -> list[TimeRange]:
    """Ranges, unchecked."""
    return [TimeRange(message.start_ms, message.end_ms) for message in messages]


def wanted_words(request: asr_service_pb2.DiarizeRequest) -> WantedWords | None:
    """The words that a call of Diarize wants as well."""
    if not request.HasField("words"):
        return None
    return WantedWords(request.words.language, request.words.engine, request.output_prefix)


def range_to_proto(value: TimeRange) -> media_pb2.TimeRange:
    """A range."""
    return media_pb2.TimeRange(start_ms=value.start_ms, end_ms=value.end_ms)


def recognition_engine_to_proto(capabilities: Capabilities) -> engine_pb2.Engine:
    """An engine for the catalogue."""
    return engine_to_proto(capabilities, capabilities.languages)


def utterance_to_proto(utterance: Utterance) -> transcript_pb2.Utterance:
    """An utterance with its words."""
    return transcript_pb2.Utterance(
        range=range_to_proto(utterance.range), words=[_word_to_proto(word) for word in utterance.words]
    )


def _word_to_proto(word: Word) -> transcript_pb2.Word:
    return transcript_pb2.Word(text=word.text, start_ms=word.start_ms, end_ms=word.end_ms, confidence=word.confidence)


def turn_to_proto(turn: Turn) -> transcript_pb2.Turn:
    """A turn."""
    return transcript_pb2.Turn(range=range_to_proto(turn.range), speaker=turn.speaker)


_GENDERS = {
    Gender.UNKNOWN: transcript_pb2.SPEAKER_GENDER_UNSPECIFIED,
    Gender.FEMALE: transcript_pb2.SPEAKER_GENDER_FEMALE,
    Gender.MALE: transcript_pb2.SPEAKER_GENDER_MALE,
}


def speaker_to_proto(speaker: Speaker) -> transcript_pb2.Speaker:
    """A speaker."""
    return transcript_pb2.Speaker(name=speaker.name, gender=_GENDERS[speaker.gender], pitch_hz=speaker.pitch_hz)


def identified_to_proto(found: Identified, expected: str) -> asr_service_pb2.IdentifyLanguageResponse:
    """Response of IdentifyLanguage; `expected` is the language of the request, empty for none."""
    return asr_service_pb2.IdentifyLanguageResponse(
        language=found.spoken.language,
        probability=found.spoken.probability,
        engine=engine_use_to_proto(found.engine),
        expected_probability=found.spoken.probability_of(expected) if expected else None,
    )


# Messages of the streams.


def _progress(fraction: float) -> progress_pb2.Progress:
    return progress_pb2.Progress(fraction=fraction)


def detection_progress(fraction: float) -> asr_service_pb2.DetectSpeechResponse:
    """Progress of DetectSpeech."""
    return asr_service_pb2.DetectSpeechResponse(progress=_progress(fraction))


def detection_result(found: SpeechMap) -> asr_service_pb2.DetectSpeechResponse:
    """Result of DetectSpeech."""
    result = asr_service_pb2.DetectSpeechResult(
        chunks=[
            asr_service_pb2.SpeechChunk(regions=[range_to_proto(region) for region in regions])
            for regions in found.chunks
        ],
        duration_ms=found.duration_ms,
        detector=engine_use_to_proto(found.detector),
    )
    return asr_service_pb2.DetectSpeechResponse(result=result)


def transcription_progress(fraction: float) -> asr_service_pb2.TranscribeResponse:
    """Progress of Transcribe."""
    return asr_service_pb2.TranscribeResponse(progress=_progress(fraction))


def transcription_utterance(utterance: Utterance) -> asr_service_pb2.TranscribeResponse:
    """An utterance of Transcribe."""
    return asr_service_pb2.TranscribeResponse(utterance=utterance_to_proto(utterance))


def transcription_result(found: Recognised) -> asr_service_pb2.TranscribeResponse:
    """Result of Transcribe."""
    result = asr_service_pb2.TranscribeResult(
        engine=engine_use_to_proto(found.engine), cost_microusd=found.cost_microusd
    )
    return asr_service_pb2.TranscribeResponse(result=result)


def diarization_progress(fraction: float) -> asr_service_pb2.DiarizeResponse:
    """Progress of Diarize."""
    return asr_service_pb2.DiarizeResponse(progress=_progress(fraction))


def diarization_result(found: Speakers) -> asr_service_pb2.DiarizeResponse:
    """Result of Diarize."""
    result = asr_service_pb2.DiarizeResult(
        turns=map(turn_to_proto, found.turns),
        engine=engine_use_to_proto(found.engine),
        speakers=map(speaker_to_proto, found.speakers),
        words=ref_to_proto(found.words) if found.words else None,
        cost_microusd=found.cost_microusd,
    )
    return asr_service_pb2.DiarizeResponse(result=result)


def separation_progress(fraction: float) -> asr_service_pb2.SeparateResponse:
    """Progress of Separate."""
    return asr_service_pb2.SeparateResponse(progress=_progress(fraction))


def separation_result(found: Separated) -> asr_service_pb2.SeparateResponse:
    """Result of Separate."""
    result = asr_service_pb2.SeparateResult(
        background=ref_to_proto(found.background) if found.background else None,
        voice=ref_to_proto(found.voice) if found.voice else None,
        engine=engine_use_to_proto(found.engine),
        reason=found.reason,
    )
    return asr_service_pb2.SeparateResponse(result=result)
