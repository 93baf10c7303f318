"""Real servers on free ports, with small services over the project's own contracts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from onevoice.asr.v1 import asr_service_pb2, asr_service_pb2_grpc
from onevoice.tts.v1 import tts_service_pb2, tts_service_pb2_grpc
from onevoice_kit.grpc.client import connect
from onevoice_kit.grpc.layers import Layer
from onevoice_kit.grpc.server import GrpcServer
from onevoice_kit.settings import ClientSettings, GrpcServerSettings
from tests.support.certificates import Authority
from tests.support.spans import record_spans

SERVICES = {
    service.full_name: {method.name: {"tests"} for method in service.methods}
    for service in (
        tts_service_pb2.DESCRIPTOR.services_by_name["TtsService"],
        asr_service_pb2.DESCRIPTOR.services_by_name["AsrService"],
    )
}

Speak = Callable[[tts_service_pb2.SynthesizeRequest, Any], Awaitable[tts_service_pb2.SynthesizeResponse]]
Detect = Callable[[asr_service_pb2.DetectSpeechRequest, Any], Any]


async def echo(request: tts_service_pb2.SynthesizeRequest, context: Any) -> tts_service_pb2.SynthesizeResponse:
    return tts_service_pb2.SynthesizeResponse(voice=request.voice)


async def nothing(request: asr_service_pb2.DetectSpeechRequest, context: Any) -> AsyncIterator[Any]:
    yield asr_service_pb2.DetectSpeechResponse(result=asr_service_pb2.DetectSpeechResult())


class Tts(tts_service_pb2_grpc.TtsServiceServicer):
    """`Synthesize` as the test defines it."""

    def __init__(self, speak: Speak) -> None:
        self._speak = speak

    async def Synthesize(self, request, context):
        return await self._speak(request, context)

    async def ListVoices(self, request, context):
        return tts_service_pb2.ListVoicesResponse()

    async def ListEngines(self, request, context):
        return tts_service_pb2.ListEnginesResponse()


class Asr(asr_service_pb2_grpc.AsrServiceServicer):
    """`DetectSpeech` as the test defines it."""

    def __init__(self, detect: Detect) -> None:
        self._detect = detect

    def DetectSpeech(self, request, context):
        return self._detect(request, context)

    async def Transcribe(self, request, context):
        yield asr_service_pb2.TranscribeResponse(result=asr_service_pb2.TranscribeResult())

    async def Diarize(self, request, context):  # type: ignore[override]  # the stubs do not know writing servicers
        await context.write(asr_service_pb2.DiarizeResponse(result=asr_service_pb2.DiarizeResult()))

    async def ListEngines(self, request, context):
        return asr_service_pb2.ListEnginesResponse()


@dataclass
class Stage:
    """A running server, a channel to it and its stubs."""

    server: GrpcServer
    channel: grpc.aio.Channel
    register: Callable[[grpc.aio.Server], None]
    tts: Any = field(init=False)
    asr: Any = field(init=False)

    def __post_init__(self) -> None:
        self.tts = tts_service_pb2_grpc.TtsServiceStub(self.channel)
        self.asr = asr_service_pb2_grpc.AsrServiceStub(self.channel)


@pytest.fixture(scope="session", autouse=True)
def _real_spans() -> None:
    record_spans()


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path)


OpenStage = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture
def open_stage() -> OpenStage:
    """`async with open_stage(speak=…, detect=…, client=…, **server settings) as stage`."""

    @asynccontextmanager
    async def opened(
        speak: Speak = echo,
        detect: Detect = nothing,
        client: ClientSettings | None = None,
        objects: Layer | None = None,
        caller: str = "tests",
        **settings: Any,
    ) -> AsyncIterator[Stage]:
        def register(server: grpc.aio.Server) -> None:
            tts_service_pb2_grpc.add_TtsServiceServicer_to_server(Tts(speak), server)
            asr_service_pb2_grpc.add_AsrServiceServicer_to_server(Asr(detect), server)

        wanted = GrpcServerSettings(**{"grpc_host": "127.0.0.1", "grpc_port": 0, **settings})
        server = GrpcServer(wanted, "stage", register, services=SERVICES, objects=objects)
        await server.start()
        try:
            async with connect(server.address, client, caller=caller) as channel:
                yield Stage(server, channel, register)
        finally:
            await server.stop(0)

    return opened
