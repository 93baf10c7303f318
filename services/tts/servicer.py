"""The gRPC face of the service: converts and delegates, nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import grpc

from onevoice.tts.v1 import tts_service_pb2, tts_service_pb2_grpc
from onevoice_kit.grpc.interceptors import Access
from services.tts import converters
from services.tts.engines.registry import Engines, list_voices
from services.tts.synthesis import Synthesizer

SERVICE = "onevoice.tts.v1.TtsService"

ACCESS: Access = {
    "Synthesize": {"orchestrator"},
    "SynthesizeLines": {"orchestrator"},
    "ListVoices": {"gateway", "orchestrator"},
    "ListEngines": {"gateway", "orchestrator"},
}
"""Callers of each method."""

_Context = grpc.aio.ServicerContext[Any, Any]


class TtsServicer(tts_service_pb2_grpc.TtsServiceServicer):
    """TtsService of `tts_service.proto`."""

    def __init__(self, synthesizer: Synthesizer, engines: Engines) -> None:
        self._synthesizer = synthesizer
        self._engines = engines

    async def Synthesize(
        self, request: tts_service_pb2.SynthesizeRequest, _context: _Context
    ) -> tts_service_pb2.SynthesizeResponse:
        """A spoken line."""
        speech = await self._synthesizer.synthesize(converters.request_from_proto(request))
        return converters.speech_to_proto(speech)

    async def SynthesizeLines(
        self, request: tts_service_pb2.SynthesizeLinesRequest, _context: _Context
    ) -> AsyncGenerator[tts_service_pb2.SynthesizeLinesResponse, None]:
        """The end of each line."""
        lines = converters.requests_from_proto(request)
        async with aclosing(self._synthesizer.synthesize_lines(lines)) as ends:
            async for place, end in ends:
                yield converters.end_to_proto(request.lines[place].id, end)

    async def ListVoices(
        self, request: tts_service_pb2.ListVoicesRequest, _context: _Context
    ) -> tts_service_pb2.ListVoicesResponse:
        """Voices of every engine that can work."""
        voices = await list_voices(self._engines, request.language)
        return tts_service_pb2.ListVoicesResponse(voices=map(converters.voice_to_proto, voices))

    async def ListEngines(
        self, _request: tts_service_pb2.ListEnginesRequest, _context: _Context
    ) -> tts_service_pb2.ListEnginesResponse:
        """The configured engines, those that cannot work included."""
        described = await self._engines.describe()
        return tts_service_pb2.ListEnginesResponse(engines=map(converters.synthesis_engine_to_proto, described))
