"""The gateway on a real database and a folder, with the real billing service and small stages behind it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice.asr.v1 import asr_service_pb2 as asr_pb
from onevoice.asr.v1 import asr_service_pb2_grpc as asr_grpc
from onevoice.common.v1 import engine_pb2
from onevoice.mixer.v1 import media_info_pb2
from onevoice.mixer.v1 import mixer_service_pb2 as mixer_pb
from onevoice.mixer.v1 import mixer_service_pb2_grpc as mixer_grpc
from onevoice.translate.v1 import translate_service_pb2 as translate_pb
from onevoice.translate.v1 import translate_service_pb2_grpc as translate_grpc
from onevoice.tts.v1 import tts_service_pb2_grpc as tts_grpc
from onevoice_kit.engines.base import Capabilities, EngineInfo, Price, Unit
from onevoice_kit.errors import OneVoiceError
from onevoice_kit.grpc.converters import engine_to_proto
from onevoice_kit.grpc.server import GrpcServer
from onevoice_kit.settings import GrpcServerSettings
from onevoice_kit.storage.base import Storage
from onevoice_local.databases import PostgresDatabases
from services.billing.ledger import Ledger
from services.billing.servicer import BillingServicer
from services.gateway.accounts import Right
from services.gateway.app import create_app
from services.gateway.background import Supervisor
from services.gateway.catalogue.service import Catalogue
from services.gateway.create_user import create_user
from services.gateway.idempotency.service import Idempotency
from services.gateway.jobs.events import EventStreams
from services.gateway.settings import GatewaySettings
from services.gateway.uploads.removals import Removals
from tests.integration.gateway.speech import Tts
from tests.support.access import ACCESS
from tests.support.databases import JOBS_EMPTY, emptied, migrated, opened

FREE_CREDITS = 600
DURATION_MS = 61_200
MP4 = b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 8
"""A file with the first bytes of a film; the test's mixer returns its facts."""


@dataclass
class World:
    """The answers of the stages behind the gateway, and counts of their calls."""

    media: media_info_pb2.MediaInfo = field(
        default_factory=lambda: media_info_pb2.MediaInfo(
            duration_ms=DURATION_MS,
            container="mov,mp4",
            video=media_info_pb2.VideoStream(codec="h264", width=640, height=360, frame_rate=25),
            audio=[media_info_pb2.AudioStream(index=1, codec="aac", sample_rate=48000, channels=2)],
        )
    )
    probe_error: OneVoiceError | None = None
    calls: dict[str, int] = field(default_factory=dict)

    def count(self, what: str) -> None:
        self.calls[what] = self.calls.get(what, 0) + 1


class Mixer(mixer_grpc.MixerServiceServicer):
    def __init__(self, world: World) -> None:
        self._world = world

    async def Probe(self, request, context):
        self._world.count("probe")
        if self._world.probe_error is not None:
            raise self._world.probe_error
        yield mixer_pb.ProbeResponse(result=self._world.media)


class Asr(asr_grpc.AsrServiceServicer):
    async def ListEngines(self, request, context):
        engine = engine_pb2.Engine(name="pocketsphinx", model="en-us", version="5", languages=["en"], available=True)
        single = engine_pb2.Engine(name="single", version="1", languages=["en"], available=True)
        silero = engine_pb2.Engine(name="silero", model="v6", version="3", available=True)
        whisper = engine_pb2.Engine(name="whisper", model="base", version="1", languages=["en"], available=True)
        deepfilter = engine_pb2.Engine(name="deepfilter", model="3", version="1", available=True)
        return asr_pb.ListEnginesResponse(
            transcription=[engine],
            diarization=[single],
            detection=[silero],
            identification=[whisper],
            separation=[deepfilter],
        )


class Translate(translate_grpc.TranslateServiceServicer):
    def __init__(self, world: World) -> None:
        self._world = world

    async def ListEngines(self, request, context):
        self._world.count("translation_engines")
        pairs = [translate_pb.LanguagePair(source="en", target=target) for target in ("es", "ca", "eo")]
        engine = engine_pb2.Engine(name="apertium", version="3", languages=["en"], available=True)
        vendor = EngineInfo(
            "openai", "large", "1", date(2027, 1, 31), (Price(usd=Decimal("2.50"), unit=Unit.MILLION_INPUT),)
        )
        lacking = Capabilities(
            info=vendor, missing="The engine “openai” needs a key.", partly_missing="For “ja”: more."
        )
        away = engine_to_proto(lacking, ["en"])
        french = [translate_pb.LanguagePair(source="en", target="fr")]
        return translate_pb.ListEnginesResponse(
            engines=[
                translate_pb.TranslationEngine(engine=engine, pairs=pairs),
                translate_pb.TranslationEngine(engine=away, pairs=french),
            ]
        )


@dataclass
class User:
    """A user and a client with the user's key."""

    id: UUID
    key: str
    client: httpx.AsyncClient


@dataclass
class Gateway:
    """A running gateway."""

    app: FastAPI
    settings: GatewaySettings
    database: AsyncEngine
    ledger: Ledger
    world: World
    objects: Path
    servers: dict[str, GrpcServer]
    stack: AsyncExitStack

    def __post_init__(self) -> None:
        parts = self.app.state.parts
        self.storage: Storage = parts[Storage]
        self.idempotency: Idempotency = parts[Idempotency]
        self.removals: Removals = parts[Removals]
        self.background: Supervisor = parts[Supervisor]
        self.events: EventStreams = parts[EventStreams]
        self.catalogue: Catalogue = parts[Catalogue]

    async def user(self, email: str, *rights: Right) -> User:
        """A new user with these rights."""
        made = await create_user(self.settings, email, "", "test", rights)
        headers = {"Authorization": f"Bearer {made['api_key']}"}
        client = await self.stack.enter_async_context(self.client(headers=headers))
        return User(UUID(made["user_id"]), made["api_key"], client)

    def client(self, **options: Any) -> httpx.AsyncClient:
        """A client of the application itself, without a network between."""
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://gateway.test", **options)

    def stored(self) -> list[str]:
        """Every object in the storage."""
        found = (path.relative_to(self.objects) for path in self.objects.rglob("*") if path.is_file())
        return sorted(str(path) for path in found if not path.parts[0].startswith("."))

    async def credits(self, user: User) -> tuple[int, int]:
        """Credits a user can spend, and those set aside."""
        account = await self.ledger.account(str(user.id))
        return account.available, account.reserved


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def migrated_url(postgres: PostgresDatabases) -> AsyncIterator[str]:
    """A database with every table, shared within a module: making one takes longer than most tests."""
    async with migrated(postgres, "jobs", "gateway", "billing") as url:
        yield url


@pytest.fixture
async def database_url(migrated_url: str) -> str:
    """A database with empty tables. The ledger stays, but its accounts are of users who are gone."""
    return await emptied(migrated_url, *JOBS_EMPTY, "DELETE FROM gateway.idempotency_keys", "DELETE FROM gateway.users")


@pytest.fixture
def options() -> dict[str, Any]:
    """Settings that a test wants otherwise."""
    return {}


@pytest.fixture
async def gateway(database_url: str, tmp_path: Path, options: dict[str, Any]) -> AsyncIterator[Gateway]:
    world = World()
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(opened(database_url))
        ledger = Ledger(engine, FREE_CREDITS)
        registrations = {
            "asr": lambda server: asr_grpc.add_AsrServiceServicer_to_server(Asr(), server),
            "translate": lambda server: translate_grpc.add_TranslateServiceServicer_to_server(Translate(world), server),
            "tts": lambda server: tts_grpc.add_TtsServiceServicer_to_server(Tts(), server),
            "mixer": lambda server: mixer_grpc.add_MixerServiceServicer_to_server(Mixer(world), server),
            "billing": BillingServicer(ledger).register,
        }
        servers = {}
        for name, register in registrations.items():
            server_settings = GrpcServerSettings(grpc_host="127.0.0.1", grpc_port=0)
            servers[name] = server = GrpcServer(server_settings, name, register, services=ACCESS)
            await server.start()
            stack.push_async_callback(server.stop, 0)
        settings = GatewaySettings(
            **{
                "database_url": SecretStr(database_url),
                "storage_dir": tmp_path / "objects",
                "storage_public_url": "http://gateway.test",
                "storage_signing_key": SecretStr("a key for tests"),
                **{f"{name}_address": server.address for name, server in servers.items()},
                **options,
            }
        )
        app = create_app(settings)
        await stack.enter_async_context(app.router.lifespan_context(app))
        yield Gateway(app, settings, engine, ledger, world, tmp_path / "objects", servers, stack)


@pytest.fixture
async def ada(gateway: Gateway) -> User:
    return await gateway.user("ada@example.com")


@pytest.fixture
async def bob(gateway: Gateway) -> User:
    return await gateway.user("bob@example.com")


def announce(content: bytes = MP4, **changes: Any) -> dict[str, Any]:
    """The body that announces a video."""
    return {
        "filename": "talk.mp4",
        "content_type": "video/mp4",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        **changes,
    }


async def send(client: httpx.AsyncClient, request: dict[str, Any], content: bytes) -> httpx.Response:
    """Makes a signed request."""
    return await client.request(request["method"], request["url"], headers=request["headers"], content=content)


async def add_video(user: User, content: bytes = MP4, **changes: Any) -> dict[str, Any]:
    """A video that is ready."""
    created = (await user.client.post("/api/videos", json=announce(content, **changes))).json()
    sent = await send(user.client, created["upload"], content)
    assert sent.status_code == 200, sent.text
    completed = await user.client.post(f"/api/videos/{created['video']['id']}/complete")
    assert completed.status_code == 200, completed.text
    video: dict[str, Any] = completed.json()
    return video


async def answers(address: str) -> bool:
    """True where a gateway answers with 200 at this address."""
    try:
        async with httpx.AsyncClient() as client:
            return (await client.get(address)).status_code == 200
    except httpx.TransportError:
        return False


def assert_problem(response: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    """The response is this problem, in the right form."""
    body: dict[str, Any] = response.json()
    assert (response.status_code, body.get("reason")) == (status, reason), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert body["status"] == status
    assert body["type"].endswith(reason)
    assert body["title"]
    assert body["detail"]
    return body
