"""Puts the service together from its settings."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from onevoice.translate.v1 import translate_service_pb2_grpc
from services.translate.engines.registry import Registry
from services.translate.servicer import TranslateServicer
from services.translate.settings import TranslateSettings
from services.translate.translation import Translator


@dataclass(frozen=True, slots=True)
class Wiring:
    """The parts of a running service."""

    servicer: TranslateServicer
    engines: Registry

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the service to a server."""
        translate_service_pb2_grpc.add_TranslateServiceServicer_to_server(self.servicer, server)

    async def close(self) -> None:
        """Ends the engines."""
        await self.engines.close()


def wire(settings: TranslateSettings) -> Wiring:
    """Builds every part; no engine is imported or started yet."""
    engines = Registry(settings.translate_engines, settings)
    return Wiring(TranslateServicer(Translator(engines, max_calls=settings.translate_max_calls), engines), engines)
