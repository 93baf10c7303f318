"""The whole service on a real gRPC server, with the real engine, over a file store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from onevoice.asr.v1 import asr_service_pb2, asr_service_pb2_grpc
from onevoice.common.v1 import media_pb2
from onevoice_kit.grpc.client import connect
from onevoice_kit.grpc.converters import ref_to_proto
from onevoice_kit.grpc.server import GrpcServer
from onevoice_kit.storage.file import FileStorage
from services.asr.servicer import ACCESS, SERVICE
from services.asr.settings import AsrSettings
from services.asr.wiring import Wiring, wire
from tests.unit.asr import samples


@dataclass(frozen=True)
class Service:
    """A running service and a client of it."""

    stub: Any
    storage: FileStorage
    wiring: Wiring

    async def store(self, folder: Path, sound: samples.Sound, name: str = "a.flac") -> media_pb2.ObjectRef:
        """Stores a sound; the reference to send."""
        path = samples.write(folder / name, sound)
        return ref_to_proto(await self.storage.put_file(f"tests/{name}", path, "audio/flac"))

    async def transcribe(self, audio: media_pb2.ObjectRef, regions: Any, **options: Any) -> tuple[list[Any], Any]:
        """All utterances and the result."""
        request = asr_service_pb2.TranscribeRequest(audio=audio, regions=regions, **{"language": "en", **options})
        utterances, result = [], None
        async for message in self.stub.Transcribe(request, timeout=120):
            if message.WhichOneof("event") == "utterance":
                utterances.append(message.utterance)
            elif message.WhichOneof("event") == "result":
                result = message.result
        return utterances, result


@pytest.fixture
def start(file_storage: FileStorage) -> Callable[..., Any]:
    """Starts the service with other settings: `async with start(asr_max_calls=1) as service`."""

    @asynccontextmanager
    async def run(**settings: Any) -> AsyncIterator[Service]:
        all_settings = AsrSettings(grpc_host="127.0.0.1", grpc_port=0, **settings)
        wiring = wire(all_settings, file_storage)
        server = GrpcServer(all_settings, "asr", wiring.register, services={SERVICE: ACCESS})
        await server.start()
        # One attempt: the tests look at the first answer.
        channel = connect(server.address)
        try:
            yield Service(asr_service_pb2_grpc.AsrServiceStub(channel), file_storage, wiring)
        finally:
            await channel.close(None)
            await server.stop(0)
            await wiring.close()

    return run


@pytest.fixture
async def service(start: Callable[..., Any]) -> AsyncIterator[Service]:
    """The service with its own settings and two workers."""
    async with start(asr_workers=2) as running:
        yield running
