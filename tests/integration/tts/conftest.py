"""The service on a free port, with the engines that are installed and a file store."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from onevoice.tts.v1 import tts_service_pb2_grpc
from onevoice_kit.grpc.client import connect
from onevoice_kit.grpc.server import GrpcServer
from services.tts.servicer import ACCESS, SERVICE
from services.tts.settings import TtsSettings
from services.tts.wiring import wire


@pytest.fixture
async def stub(file_storage) -> AsyncIterator[tts_service_pb2_grpc.TtsServiceStub]:
    settings = TtsSettings(grpc_host="127.0.0.1", grpc_port=0)
    service = wire(settings, file_storage)
    server = GrpcServer(settings, "tts", service.register, services={SERVICE: ACCESS})
    await server.start()
    async with connect(server.address) as channel:
        yield tts_service_pb2_grpc.TtsServiceStub(channel)
    await server.stop(0)
    await service.close()
