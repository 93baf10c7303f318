"""Clients of every stage: engines, language pairs and voices of this deployment, and health."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from onevoice.asr.v1 import asr_service_pb2 as asr_pb
from onevoice.asr.v1.asr_service_pb2_grpc import AsrServiceStub
from onevoice.common.v1 import engine_pb2
from onevoice.translate.v1 import translate_service_pb2 as translate_pb
from onevoice.translate.v1.translate_service_pb2_grpc import TranslateServiceStub
from onevoice.tts.v1 import tts_service_pb2 as tts_pb
from onevoice.tts.v1.tts_service_pb2_grpc import TtsServiceStub
from onevoice_kit.grpc.converters import ref_from_proto
from onevoice_kit.storage.base import ObjectRef

from . import with_retries

_TIMEOUT_S = 10.0
_SPOKEN_S = 30.0
"""For a sample, which may have to be spoken."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """One engine of a stage; `pairs` only for translation, the other fields as in `engine.proto`."""

    name: str
    model: str
    version: str
    languages: frozenset[str]
    available: bool
    pairs: frozenset[tuple[str, str]] = frozenset()
    missing: str = ""
    partly_missing: str = ""
    shutdown_date: str = ""
    prices: tuple[tuple[str, str], ...] = ()
    """US dollars and the unit of each."""
    paid: bool = False
    wants_summary: bool = False
    """Only for translation: a summary of the whole transcript comes first."""


@dataclass(frozen=True, slots=True)
class VoiceInfo:
    """A voice."""

    id: str
    name: str
    language: str
    gender: str
    engine: str
    languages: tuple[str, ...] = ()
    """Every language of a voice that speaks several."""
    has_sample: bool = False

    @property
    def speaks(self) -> tuple[str, ...]:
        """Every language it speaks."""
        return self.languages or (self.language,)


@dataclass(frozen=True, slots=True)
class AsrEngines:
    """Engines of the recognition stage."""

    transcription: tuple[EngineInfo, ...]
    diarization: tuple[EngineInfo, ...]
    detection: tuple[EngineInfo, ...] = ()
    identification: tuple[EngineInfo, ...] = ()
    separation: tuple[EngineInfo, ...] = ()


class StageClient:
    """Queries the capabilities of the stages."""

    def __init__(self, asr: grpc.aio.Channel, translate: grpc.aio.Channel, tts: grpc.aio.Channel) -> None:
        self._asr = AsrServiceStub(asr)
        self._translate = TranslateServiceStub(translate)
        self._tts = TtsServiceStub(tts)

    async def asr_engines(self) -> AsrEngines:
        """Engines for recognition, diarization, detecting speech, identifying its language and separating it."""
        answer = await with_retries(lambda: self._asr.ListEngines(asr_pb.ListEnginesRequest(), timeout=_TIMEOUT_S))
        return AsrEngines(
            _engines(answer.transcription),
            (*_engines(answer.conversation), *_engines(answer.diarization)),
            _engines(answer.detection),
            _engines(answer.identification),
            _engines(answer.separation),
        )

    async def translation_engines(self) -> tuple[EngineInfo, ...]:
        """Engines for translation with their language pairs."""
        request = translate_pb.ListEnginesRequest()
        answer = await with_retries(lambda: self._translate.ListEngines(request, timeout=_TIMEOUT_S))
        return tuple(
            replace(
                _engine(item.engine, frozenset((pair.source, pair.target) for pair in item.pairs)),
                wants_summary=item.wants_summary,
            )
            for item in answer.engines
        )

    async def tts_engines(self) -> tuple[EngineInfo, ...]:
        """Engines for speech."""
        answer = await with_retries(lambda: self._tts.ListEngines(tts_pb.ListEnginesRequest(), timeout=_TIMEOUT_S))
        return _engines(answer.engines)

    async def voices(self) -> tuple[VoiceInfo, ...]:
        """Voices of every language."""
        answer = await with_retries(lambda: self._tts.ListVoices(tts_pb.ListVoicesRequest(), timeout=_TIMEOUT_S))
        return tuple(
            VoiceInfo(
                voice.id,
                voice.name,
                voice.language,
                _gender(voice.gender),
                voice.engine,
                tuple(voice.languages),
                voice.has_sample,
            )
            for voice in answer.voices
        )

    async def sample(self, voice: str, language: str) -> ObjectRef | str:
        """
        The sample of a voice: an object of the storage, or the address of its vendor's recording. Raises `NotFound`
        (`unknown_voice`, `no_sample`).
        """
        request = tts_pb.SampleVoiceRequest(voice=voice, language=language)
        answer = await with_retries(lambda: self._tts.SampleVoice(request, timeout=_SPOKEN_S))
        return answer.url if answer.WhichOneof("sample") == "url" else ref_from_proto(answer.audio)


def _engines(found: Iterable[engine_pb2.Engine]) -> tuple[EngineInfo, ...]:
    return tuple(_engine(item) for item in found)


def _engine(item: engine_pb2.Engine, pairs: frozenset[tuple[str, str]] = frozenset()) -> EngineInfo:
    return EngineInfo(
        item.name,
        item.model,
        item.version,
        frozenset(item.languages),
        item.available,
        pairs,
        missing=item.missing,
        partly_missing=item.partly_missing,
        shutdown_date=item.shutdown_date,
        prices=tuple((price.usd, price.unit) for price in item.prices),
        paid=item.paid,
    )


def _gender(value: tts_pb.VoiceGender.ValueType) -> str:
    name = tts_pb.VoiceGender.Name(value).removeprefix("VOICE_GENDER_").lower()
    return "unknown" if name == "unspecified" else name


_TIMEOUT_S = 2.0


class HealthClient:
    """Checks whether one service takes calls."""

    def __init__(self, channel: grpc.aio.Channel, service: str) -> None:
        self._stub: Any = health_pb2_grpc.HealthStub(channel)
        self._service = service

    async def is_serving(self) -> bool:
        """True if the service is ready. Raises the kit's errors where it does not answer."""
        answer = await self._stub.Check(health_pb2.HealthCheckRequest(service=self._service), timeout=_TIMEOUT_S)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
