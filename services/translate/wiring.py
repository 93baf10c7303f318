"""Puts the service together from its settings."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from onevoice.translate.v1 import translate_service_pb2_grpc
from onevoice_kit.engines.layers import Limit
from services.translate.engines.registry import Engines, translation_engines
from services.translate.servicer import TranslateServicer
from services.translate.settings import TranslateSettings
from services.translate.translation import Translator

_RETRY_AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class Wiring:
    """The parts of a running service."""

    servicer: TranslateServicer
    engines: Engines

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the service to a server."""
        translate_service_pb2_grpc.add_TranslateServiceServicer_to_server(self.servicer, server)

    async def warm(self) -> None:
        """Loads what the first call would wait for."""
        await self.engines.warm()

    async def close(self) -> None:
        """Ends the engines."""
        await self.engines.close()


def wire(settings: TranslateSettings) -> Wiring:
    """Builds every part; no engine is imported or started yet."""
    engines = translation_engines(settings)
    limit = Limit(settings.translate_max_calls, 0, subject="Translation", retry_after_s=_RETRY_AFTER_S)
    return Wiring(TranslateServicer(Translator(engines, limit), engines), engines)
