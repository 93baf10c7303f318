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
from services.tts.samples import Samples
from services.tts.synthesis import Synthesizer

SERVICE = "onevoice.tts.v1.TtsService"

ACCESS: Access = {
    "Synthesize": {"orchestrator"},
    "SynthesizeLines": {"orchestrator"},
    "ListVoices": {"gateway", "orchestrator"},
    "SampleVoice": {"gateway"},
    "ListEngines": {"gateway", "orchestrator"},
}
"""Callers of each method."""

_Context = grpc.aio.ServicerContext[Any, Any]


class TtsServicer(tts_service_pb2_grpc.TtsServiceServicer):
    """TtsService of `tts_service.proto`."""

    def __init__(self, synthesizer: Synthesizer, engines: Engines) -> None:
        self._synthesizer = synthesizer
        self._engines = engines
        self._samples = Samples(synthesizer, engines)

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
        sampled = await self._samples.engines()
        listed = [converters.voice_to_proto(voice, has_sample=voice.engine in sampled) for voice in voices]
        return tts_service_pb2.ListVoicesResponse(voices=listed)

    async def SampleVoice(
        self, request: tts_service_pb2.SampleVoiceRequest, _context: _Context
    ) -> tts_service_pb2.SampleVoiceResponse:
        """A sample of a voice."""
        return converters.sample_to_proto(await self._samples.sample(request.voice, request.language))

    async def ListEngines(
        self, _request: tts_service_pb2.ListEnginesRequest, _context: _Context
    ) -> tts_service_pb2.ListEnginesResponse:
        """The configured engines, those that cannot work included."""
        described = await self._engines.describe()
        return tts_service_pb2.ListEnginesResponse(engines=map(converters.synthesis_engine_to_proto, described))
