"""Between protobuf messages and the values of the domain."""

from __future__ import annotations

from onevoice.common.v1 import engine_pb2
from onevoice.tts.v1 import tts_service_pb2
from onevoice_kit.errors import InvalidInput, OneVoiceError
from onevoice_kit.grpc.converters import engine_to_proto, engine_use_to_proto, ref_to_proto
from onevoice_kit.grpc.errors import error_to_proto, hide
from onevoice_kit.storage.base import ObjectRef
from services.tts.engines.base import Capabilities, Gender, Voice
from services.tts.synthesis import Request, Speech

_GENDERS = {
    Gender.UNKNOWN: tts_service_pb2.VOICE_GENDER_UNSPECIFIED,
    Gender.FEMALE: tts_service_pb2.VOICE_GENDER_FEMALE,
    Gender.MALE: tts_service_pb2.VOICE_GENDER_MALE,
    Gender.NEUTRAL: tts_service_pb2.VOICE_GENDER_NEUTRAL,
}


def request_from_proto(message: tts_service_pb2.SynthesizeRequest) -> Request:
    """A request, unchecked; a rate of 0 is the natural one."""
    return Request(
        text=message.text,
        language=message.language,
        output_prefix=message.output_prefix,
        voice=message.voice,
        rate=message.rate or 1.0,
        engine=message.engine,
        previous_text=message.previous_text,
        next_text=message.next_text,
        wanted_ms=message.wanted_ms,
    )


def requests_from_proto(message: tts_service_pb2.SynthesizeLinesRequest) -> list[Request]:
    """A request for each line, unchecked. Raises `InvalidInput` (reason `duplicate_line`) where two have one id."""
    if len({line.id for line in message.lines}) < len(message.lines):
        raise InvalidInput("Two lines of the call have the same id.", reason="duplicate_line")
    return [
        Request(
            text=line.text,
            language=message.language,
            output_prefix=message.output_prefix,
            voice=line.voice,
            rate=line.rate or 1.0,
            engine=message.engine,
            previous_text=line.previous_text,
            next_text=line.next_text,
            wanted_ms=line.wanted_ms,
        )
        for line in message.lines
    ]


def speech_to_proto(speech: Speech) -> tts_service_pb2.SynthesizeResponse:
    """A spoken line."""
    return tts_service_pb2.SynthesizeResponse(
        audio=ref_to_proto(speech.audio),
        natural_ms=speech.natural_ms,
        cached=speech.cached,
        engine=engine_use_to_proto(speech.engine),
        voice=speech.voice,
        cost_microusd=speech.cost_microusd,
    )


def end_to_proto(line: str, end: Speech | BaseException) -> tts_service_pb2.SynthesizeLinesResponse:
    """The end of a line; an error that is not ours is logged, and the caller gets its id."""
    if isinstance(end, Speech):
        return tts_service_pb2.SynthesizeLinesResponse(id=line, result=speech_to_proto(end))
    error = end if isinstance(end, OneVoiceError) else hide(end, "A line of speech synthesis")
    return tts_service_pb2.SynthesizeLinesResponse(id=line, error=error_to_proto(error))


def voice_to_proto(voice: Voice, *, has_sample: bool) -> tts_service_pb2.Voice:
    """A voice."""
    return tts_service_pb2.Voice(
        id=voice.id,
        name=voice.name,
        language=voice.language,
        gender=_GENDERS[voice.gender],
        engine=voice.engine,
        pitch_hz=voice.pitch_hz,
        languages=voice.speaks,
        has_sample=has_sample,
    )


def sample_to_proto(sample: ObjectRef | str) -> tts_service_pb2.SampleVoiceResponse:
    """A sample, by its object or its address."""
    if isinstance(sample, str):
        return tts_service_pb2.SampleVoiceResponse(url=sample)
    return tts_service_pb2.SampleVoiceResponse(audio=ref_to_proto(sample))


def synthesis_engine_to_proto(capabilities: Capabilities) -> engine_pb2.Engine:
    """An engine for the catalogue."""
    return engine_to_proto(capabilities, {language for voice in capabilities.voices for language in voice.speaks})
