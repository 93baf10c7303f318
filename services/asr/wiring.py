"""Puts the service together from its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc

from onevoice.asr.v1 import asr_service_pb2_grpc
from onevoice_kit.engines.layers import Limit
from onevoice_kit.engines.registry import Registry
from onevoice_kit.storage import Storage
from services.asr.audio_cache import AudioCache
from services.asr.conversation import Conversations
from services.asr.detection import SpeechDetection
from services.asr.diarization import Diarization
from services.asr.engines.registry import (
    IdentificationEngines,
    SeparationEngines,
    TranscriptionEngines,
    conversation_engines,
    detection_engines,
    diarization_engines,
    identification_engines,
    separation_engines,
    transcription_engines,
)
from services.asr.identification import Identification
from services.asr.separation import Separation
from services.asr.servicer import AsrServicer, EngineLists
from services.asr.settings import AsrSettings
from services.asr.transcription import Transcription

_RETRY_AFTER_S = 5.0
_SEPARATIONS = 1
"""At once: one keeps every worker busy. As many others as may be recognised wait."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """The parts of a running service."""

    servicer: AsrServicer
    transcription: TranscriptionEngines
    registries: tuple[Registry[Any, Any], ...]
    """Of the kinds of engines that are warmed; those for words first, because they take longest."""
    languages: IdentificationEngines
    """Not warmed: it shares the model of an engine for words, or few jobs need it."""
    separators: SeparationEngines
    """Not warmed: they hold nothing between calls."""
    conversations: Conversations
    audio: AudioCache

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the service to a server."""
        asr_service_pb2_grpc.add_AsrServiceServicer_to_server(self.servicer, server)

    async def warm(self) -> None:
        """Loads what the first call would wait for."""
        for registry in self.registries:
            await registry.warm()

    async def close(self) -> None:
        """Ends the engines and deletes local copies; the storage stays open."""
        await self.conversations.close()
        for registry in (*self.registries, self.languages, self.separators):
            await registry.close()
        await self.audio.close()


def wire(settings: AsrSettings, storage: Storage) -> Wiring:
    """Builds every part; no engine is imported or started yet."""
    audio = AudioCache(storage)
    words, speakers = transcription_engines(settings), diarization_engines(settings)
    languages, speech = identification_engines(settings), detection_engines(settings)
    separators = separation_engines(settings)
    both = conversation_engines(settings)
    conversations = Conversations(storage, audio, both, words)
    limit = Limit(settings.asr_max_calls, 0, subject="Speech recognition", retry_after_s=_RETRY_AFTER_S)
    places = Limit(_SEPARATIONS, settings.asr_max_calls, subject="Separation", retry_after_s=_RETRY_AFTER_S)
    servicer = AsrServicer(
        SpeechDetection(audio, speech, chunk_ms=settings.asr_chunk_ms, max_audio_ms=settings.asr_max_audio_ms),
        Transcription(audio, words, limit),
        Diarization(audio, speakers, conversations),
        Identification(audio, languages),
        Separation(storage, separators, places),
        EngineLists(words, speakers, speech, languages, separators, both),
    )
    return Wiring(servicer, words, (words, both, speakers, speech), languages, separators, conversations, audio)
