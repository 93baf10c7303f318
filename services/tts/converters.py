"""Between protobuf messages and the values of the domain."""

from __future__ import annotations

from onevoice.common.v1 import engine_pb2
from onevoice.tts.v1 import tts_service_pb2
from onevoice_kit.grpc.converters import engine_to_proto, engine_use_to_proto, ref_to_proto
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
    )


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


def voice_to_proto(voice: Voice) -> tts_service_pb2.Voice:
    """A voice."""
    return tts_service_pb2.Voice(
        id=voice.id,
        name=voice.name,
        language=voice.language,
        gender=_GENDERS[voice.gender],
        engine=voice.engine,
        pitch_hz=voice.pitch_hz,
    )


def synthesis_engine_to_proto(capabilities: Capabilities) -> engine_pb2.Engine:
    """An engine for the catalogue."""
    return engine_to_proto(capabilities, {voice.language for voice in capabilities.voices})
