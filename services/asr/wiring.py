"""Puts the service together from its settings."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import grpc

from onevoice.asr.v1 import asr_service_pb2_grpc
from onevoice_kit.storage import Storage
from services.asr.audio_cache import AudioCache
from services.asr.detection import SpeechDetection
from services.asr.detectors.silero import SileroDetector
from services.asr.diarization import Diarization
from services.asr.engines.base import DiarizationEngine, TranscriptionEngine
from services.asr.engines.registry import Registry, diarization_engines, transcription_engines
from services.asr.servicer import AsrServicer
from services.asr.settings import AsrSettings
from services.asr.transcription import Transcription

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wiring:
    """The parts of a running service."""

    servicer: AsrServicer
    transcription: Registry[TranscriptionEngine]
    diarization: Registry[DiarizationEngine]
    audio: AudioCache

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the service to a server."""
        asr_service_pb2_grpc.add_AsrServiceServicer_to_server(self.servicer, server)

    async def warm(self) -> None:
        """Loads the models of the engines that are available, so that the first call does not wait for them."""
        for engine in self.transcription.engines:
            if engine.available():
                await engine.start()
                _log.info("engine is warm", extra={"engine": engine.capabilities.info.name})

    async def close(self) -> None:
        """Ends the engines and deletes local copies; the storage stays open."""
        await self.transcription.close()
        await self.diarization.close()
        await self.audio.close()


def wire(settings: AsrSettings, storage: Storage) -> Wiring:
    """Builds every part; nothing is loaded or started yet."""
    audio = AudioCache(storage)
    transcription, diarization = transcription_engines(settings), diarization_engines(settings)
    servicer = AsrServicer(
        SpeechDetection(
            audio, SileroDetector(), chunk_ms=settings.asr_chunk_ms, max_audio_ms=settings.asr_max_audio_ms
        ),
        Transcription(audio, transcription, max_calls=settings.asr_max_calls),
        Diarization(audio, diarization),
        (transcription, diarization),
    )
    return Wiring(servicer, transcription, diarization, audio)
