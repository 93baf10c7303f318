"""Puts the service together from its settings."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from onevoice.tts.v1 import tts_service_pb2_grpc
from onevoice_kit.engines.layers import Limit
from onevoice_kit.storage import Storage
from services.tts.batching import Batches
from services.tts.engines.registry import Engines, synthesis_engines
from services.tts.servicer import TtsServicer
from services.tts.settings import TtsSettings
from services.tts.synthesis import Synthesizer

_RETRY_AFTER_S = 5.0
"""Within it two lines of a natural voice are spoken at each place, or hundreds of eSpeak's."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """The parts of a running service."""

    servicer: TtsServicer
    engines: Engines

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the service to a server."""
        tts_service_pb2_grpc.add_TtsServiceServicer_to_server(self.servicer, server)

    async def warm(self) -> None:
        """Loads what the first call would wait for."""
        await self.engines.warm()

    async def close(self) -> None:
        """Ends the engines; the storage stays open."""
        await self.engines.close()


def wire(settings: TtsSettings, storage: Storage) -> Wiring:
    """Builds every part; no engine is imported or started yet."""
    engines = synthesis_engines(settings)
    places, waiting = settings.workers, settings.tts_max_waiting
    limit = Limit(places, waiting, subject="Speech synthesis", retry_after_s=_RETRY_AFTER_S)
    return Wiring(TtsServicer(Synthesizer(storage, engines, Batches(limit)), engines), engines)
