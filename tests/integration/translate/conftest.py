"""The service on a free port, with the engines that are installed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from onevoice.translate.v1 import translate_service_pb2_grpc
from onevoice_kit.grpc.client import connect
from onevoice_kit.grpc.server import GrpcServer
from services.translate.servicer import ACCESS, SERVICE
from services.translate.settings import TranslateSettings
from services.translate.wiring import wire


@pytest.fixture
async def stub() -> AsyncIterator[translate_service_pb2_grpc.TranslateServiceStub]:
    settings = TranslateSettings(grpc_host="127.0.0.1", grpc_port=0)
    service = wire(settings)
    server = GrpcServer(settings, "translate", service.register, services={SERVICE: ACCESS})
    await server.start()
    async with connect(server.address) as channel:
        yield translate_service_pb2_grpc.TranslateServiceStub(channel)
    await server.stop(0)
    await service.close()
