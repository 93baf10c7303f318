"""The gRPC face of the service: converts and delegates, nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc

from onevoice.asr.v1 import asr_service_pb2, asr_service_pb2_grpc
from onevoice_kit.grpc.converters import ref_from_proto
from onevoice_kit.grpc.interceptors import Access
from onevoice_kit.grpc.streams import Report, with_events, with_progress
from services.asr import converters
from services.asr.detection import SpeechDetection
from services.asr.diarization import Diarization
from services.asr.engines.base import Utterance
from services.asr.engines.registry import (
    ConversationEngines,
    DetectionEngines,
    DiarizationEngines,
    IdentificationEngines,
    SeparationEngines,
    TranscriptionEngines,
)
from services.asr.identification import Identification
from services.asr.separation import Separation
from services.asr.transcription import Recognised, Transcription

SERVICE = "onevoice.asr.v1.AsrService"

ACCESS: Access = {
    "DetectSpeech": {"orchestrator"},
    "Transcribe": {"orchestrator"},
    "Diarize": {"orchestrator"},
    "IdentifyLanguage": {"orchestrator"},
    "Separate": {"orchestrator"},
    "ListEngines": {"gateway", "orchestrator"},
}
"""Callers of each method."""

_Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class EngineLists:
    """The engines of each kind, for the catalogue."""

    transcription: TranscriptionEngines
    diarization: DiarizationEngines
    detection: DetectionEngines
    identification: IdentificationEngines
    separation: SeparationEngines
    conversation: ConversationEngines


class AsrServicer(asr_service_pb2_grpc.AsrServiceServicer):
    """AsrService of `asr_service.proto`."""

    def __init__(
        self,
        detection: SpeechDetection,
        transcription: Transcription,
        diarization: Diarization,
        identification: Identification,
        separation: Separation,
        engines: EngineLists,
    ) -> None:
        self._detection = detection
        self._transcription = transcription
        self._diarization = diarization
        self._identification = identification
        self._separation = separation
        self._engines = engines

    def DetectSpeech(
        self, request: asr_service_pb2.DetectSpeechRequest, _context: _Context
    ) -> AsyncIterator[asr_service_pb2.DetectSpeechResponse]:
        """Regions of speech in chunks."""
        audio = ref_from_proto(request.audio)
        return with_progress(
            lambda report: self._detection.detect(audio, request.max_chunk_ms, report),
            converters.detection_progress,
            converters.detection_result,
        )

    def Transcribe(
        self, request: asr_service_pb2.TranscribeRequest, _context: _Context
    ) -> AsyncIterator[asr_service_pb2.TranscribeResponse]:
        """Utterances, then the engine and the cost."""
        audio = ref_from_proto(request.audio)
        regions = converters.ranges_from_proto(request.regions)
        known = ref_from_proto(request.known_words) if request.HasField("known_words") else None

        async def work(
            report: Report, emit: Callable[[asr_service_pb2.TranscribeResponse], Awaitable[None]]
        ) -> Recognised:
            async def send(utterance: Utterance) -> None:
                await emit(converters.transcription_utterance(utterance))

            if known is not None:
                return await self._transcription.known(known, regions, send)
            return await self._transcription.transcribe(audio, regions, request.language, request.engine, report, send)

        return with_events(work, converters.transcription_progress, converters.transcription_result)

    def Diarize(
        self, request: asr_service_pb2.DiarizeRequest, _context: _Context
    ) -> AsyncIterator[asr_service_pb2.DiarizeResponse]:
        """Turns and speakers, and the words where they are wanted and found in the same call."""
        audio = ref_from_proto(request.audio)
        regions = converters.ranges_from_proto(request.regions)
        wanted = converters.wanted_words(request)
        return with_progress(
            lambda _report: self._diarization.diarize(audio, regions, request.speakers, request.engine, wanted),
            converters.diarization_progress,
            converters.diarization_result,
        )

    async def IdentifyLanguage(
        self, request: asr_service_pb2.IdentifyLanguageRequest, _context: _Context
    ) -> asr_service_pb2.IdentifyLanguageResponse:
        """The language that is spoken."""
        audio = ref_from_proto(request.audio)
        regions = converters.ranges_from_proto(request.regions)
        found = await self._identification.identify(audio, regions, request.engine)
        return converters.identified_to_proto(found, request.expected)

    def Separate(
        self, request: asr_service_pb2.SeparateRequest, _context: _Context
    ) -> AsyncIterator[asr_service_pb2.SeparateResponse]:
        """The background and the voice."""
        programme = ref_from_proto(request.programme)
        return with_progress(
            lambda report: self._separation.separate(programme, request.output_prefix, request.engine, report),
            converters.separation_progress,
            converters.separation_result,
        )

    async def ListEngines(
        self, _request: asr_service_pb2.ListEnginesRequest, _context: _Context
    ) -> asr_service_pb2.ListEnginesResponse:
        """The configured engines, those that cannot work included."""
        return asr_service_pb2.ListEnginesResponse(
            transcription=map(converters.recognition_engine_to_proto, await self._engines.transcription.describe()),
            diarization=map(converters.recognition_engine_to_proto, await self._engines.diarization.describe()),
            detection=map(converters.recognition_engine_to_proto, await self._engines.detection.describe()),
            identification=map(converters.recognition_engine_to_proto, await self._engines.identification.describe()),
            separation=map(converters.recognition_engine_to_proto, await self._engines.separation.describe()),
            conversation=map(converters.recognition_engine_to_proto, await self._engines.conversation.describe()),
        )
