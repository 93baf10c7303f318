"""Puts the service together from its settings."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from onevoice.tts.v1 import tts_service_pb2_grpc
from onevoice_kit.storage import Storage
from services.tts.admission import Gate
from services.tts.engines.registry import Registry
from services.tts.servicer import TtsServicer
from services.tts.settings import TtsSettings
from services.tts.synthesis import Synthesizer


@dataclass(frozen=True, slots=True)
class Wiring:
    """The parts of a running service."""

    servicer: TtsServicer
    engines: Registry

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the service to a server."""
        tts_service_pb2_grpc.add_TtsServiceServicer_to_server(self.servicer, server)

    async def close(self) -> None:
        """Ends the engines; the storage stays open."""
        await self.engines.close()


def wire(settings: TtsSettings, storage: Storage) -> Wiring:
    """Builds every part; no engine is imported or started yet."""
    engines = Registry(settings.tts_engines, settings)
    synthesizer = Synthesizer(storage, engines, Gate(settings.workers, settings.tts_max_waiting))
    return Wiring(TtsServicer(synthesizer, engines), engines)
