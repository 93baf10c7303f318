"""The gRPC face of the service: converts and delegates, nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from onevoice.translate.v1 import translate_service_pb2, translate_service_pb2_grpc
from onevoice_kit.grpc.interceptors import Access
from onevoice_kit.grpc.streams import with_progress
from services.translate import converters
from services.translate.engines.registry import Engines
from services.translate.summary import Summarizer
from services.translate.translation import Translator

SERVICE = "onevoice.translate.v1.TranslateService"

ACCESS: Access = {
    "Translate": {"orchestrator"},
    "Summarize": {"orchestrator"},
    "ListEngines": {"gateway", "orchestrator"},
}
"""Callers of each method."""

_Context = grpc.aio.ServicerContext[Any, Any]


class TranslateServicer(translate_service_pb2_grpc.TranslateServiceServicer):
    """TranslateService of `translate_service.proto`."""

    def __init__(self, translator: Translator, summarizer: Summarizer, engines: Engines) -> None:
        self._translator = translator
        self._summarizer = summarizer
        self._engines = engines

    def Translate(
        self, request: translate_service_pb2.TranslateRequest, _context: _Context
    ) -> AsyncIterator[translate_service_pb2.TranslateResponse]:
        """Progress, then every segment translated."""
        asked = converters.request_from_proto(request)
        return with_progress(
            lambda report: self._translator.translate(asked, report),
            converters.translation_progress,
            converters.translation_result,
        )

    def Summarize(
        self, request: translate_service_pb2.SummarizeRequest, _context: _Context
    ) -> AsyncIterator[translate_service_pb2.SummarizeResponse]:
        """Progress, then the summary."""
        asked = converters.transcript_from_proto(request)
        return with_progress(
            lambda report: self._summarizer.summarize(asked, report),
            converters.summary_progress,
            converters.summary_result,
        )

    async def ListEngines(
        self, _request: translate_service_pb2.ListEnginesRequest, _context: _Context
    ) -> translate_service_pb2.ListEnginesResponse:
        """The configured engines, those that cannot work included."""
        described = await self._engines.describe()
        return translate_service_pb2.ListEnginesResponse(engines=map(converters.translation_engine_to_proto, described))
