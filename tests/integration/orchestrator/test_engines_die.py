"""The first engine of each stage dies within a job: the second ones complete it, and no call is paid twice."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from onevoice.billing.v1 import billing_service_pb2_grpc as billing_grpc
from onevoice.mixer.v1 import mixer_service_pb2_grpc as mixer_grpc
from onevoice_cli.sample import build_clip
from onevoice_jobs.keys import job_prefix
from onevoice_jobs.options import JobOptions
from onevoice_jobs.records import JobRecord
from onevoice_jobs.states import JobStatus
from onevoice_kit.grpc.client import connect
from onevoice_kit.grpc.server import GrpcServer
from onevoice_kit.media_exec import Ffmpeg
from onevoice_kit.settings import GrpcServerSettings
from onevoice_kit.storage.base import ObjectRef
from onevoice_kit.storage.file import FileStorage
from services.asr.settings import AsrSettings
from services.asr.wiring import wire as wire_asr
from services.mixer.servicer import MixerServicer, UseCases
from services.mixer.servicer import limit as mixer_limit
from services.mixer.settings import MixerSettings
from services.orchestrator.clients import Clients
from services.translate.settings import TranslateSettings
from services.translate.wiring import wire as wire_translate
from services.tts.settings import TtsSettings
from services.tts.wiring import wire as wire_tts
from tests.support import vendor_apis
from tests.support.access import ACCESS
from tests.support.chat_server import ChatServer, chat_server, failure, obedient
from tests.support.chat_server import Reply as ChatReply
from tests.support.instant_stages import Billing, Script
from tests.support.rig import stages_on
from tests.support.vendor_server import KEY, Api, Reply, Request, VendorServer, cut_at_once, vendor_server


@dataclass
class Mortal:
    """A vendor that answers so many requests and then dies."""

    lives: int
    answered: Counter[str] = field(default_factory=Counter)
    """Each request that was paid for, by the hash of what it sent."""
    refused: Counter[str] = field(default_factory=Counter)
    """Each request since its death."""

    def lives_on(self, *content: bytes) -> bool:
        """Counts a request; False once the vendor is dead."""
        alive = self.answered.total() < self.lives
        counted = self.answered if alive else self.refused
        counted[hashlib.sha256(b"\0".join(content)).hexdigest()] += 1
        return alive

    def api(self, api: Api, last: Callable[[], Reply]) -> Api:
        """The vendor's API while it lives; then `last` makes the reply."""
        return lambda request: api(request) if self.lives_on(_path(request), _content(request)) else last()


def _path(request: Request) -> bytes:
    return f"{request.path}?{sorted(request.query.items())}".encode()


def _content(request: Request) -> bytes:
    """The sound of an upload, whose boundary is another each time, else the body."""
    return request.form()[1] if "multipart" in request.headers.get("content-type", "") else request.body


@dataclass
class Vendors:
    """The first engine of each stage."""

    recognition: Mortal = field(default_factory=lambda: Mortal(lives=2))
    translation: Mortal = field(default_factory=lambda: Mortal(lives=2))
    synthesis: Mortal = field(default_factory=lambda: Mortal(lives=2))


@pytest.fixture
def vendors() -> Vendors:
    return Vendors()


def _chat(chat: ChatServer, mortal: Mortal) -> None:
    """The model translates until its key is revoked."""

    def model(data: dict[str, Any]) -> str | ChatReply:
        return obedient(data) if mortal.lives_on(json.dumps(data).encode()) else failure(401)

    chat.model = model


def _speech(mortal: Mortal) -> tuple[Api, Callable[[VendorServer], None]]:
    """Speech whose connections break from its death on."""
    servers: list[VendorServer] = []

    def last() -> Reply:
        servers[0].fault = cut_at_once
        return Reply(b"", "audio/pcm")

    return mortal.api(vendor_apis.openai_speech, last), servers.append


@pytest.fixture
async def stages(vendors: Vendors, script: Script, file_storage: FileStorage, tmp_path: Path) -> AsyncIterator[Clients]:
    """The real services in this process: a vendor first, then an engine of this machine; billing is the instant one."""
    broken = Reply(b"{}", "application/json", 500)
    speech_api, served_by = _speech(vendors.synthesis)
    async with AsyncExitStack() as stack:
        hear = await stack.enter_async_context(
            vendor_server(vendors.recognition.api(vendor_apis.deepgram_transcription, lambda: broken))
        )
        speak = await stack.enter_async_context(vendor_server(speech_api))
        served_by(speak)
        chat = stack.enter_context(ExitStack()).enter_context(chat_server())
        _chat(chat, vendors.translation)
        asr = wire_asr(
            AsrSettings(
                asr_transcription_engines=("deepgram", "pocketsphinx"),
                asr_identification_engines=(),
                asr_workers=1,
                asr_chunk_ms=5_000,
                deepgram_base_url=hear.url,
                deepgram_api_key=SecretStr(KEY),
            ),
            file_storage,
        )
        translate = wire_translate(
            TranslateSettings(
                translate_engines=("openai", "apertium"),
                translate_openai_base_url=chat.url,
                translate_openai_model="test-model",
                translate_openai_summary=False,
            )
        )
        tts = wire_tts(
            TtsSettings(
                tts_engines=("openai", "espeak"), openai_audio_base_url=speak.url, openai_api_key=SecretStr(KEY)
            ),
            file_storage,
        )
        for service in (asr, translate, tts):
            stack.push_async_callback(service.close)
        mixing = MixerSettings()
        use_cases = UseCases.over(file_storage, Ffmpeg(mixing.media_limits(), tmp_path))
        mixer = MixerServicer(use_cases, mixer_limit(2, 16), mixer_limit(2, 16))

        def register(server: Any) -> None:
            for service in (asr, translate, tts):
                service.register(server)
            mixer_grpc.add_MixerServiceServicer_to_server(mixer, server)
            billing_grpc.add_BillingServiceServicer_to_server(Billing(script), server)

        settings = GrpcServerSettings(grpc_host="127.0.0.1", grpc_port=0)
        server = GrpcServer(settings, "stages", register, services=ACCESS)
        await server.start()
        stack.push_async_callback(server.stop, 0)
        channel = connect(server.address)
        stack.push_async_callback(channel.close, None)
        yield stages_on(channel)


@pytest.fixture
async def source(file_storage: FileStorage, tmp_path: Path) -> tuple[ObjectRef, int]:
    """A clip of human speech, and its length."""
    clip = await build_clip(tmp_path / "talk.mp4", 20.0, music=False, size=(160, 90))
    return await file_storage.put_file("users/u/videos/v/original.mp4", clip.path, "video/mp4"), clip.duration_ms


async def _report(deployment: Any, job: JobRecord) -> dict[str, Any]:
    key = f"{job_prefix(job.user_id, job.id)}/artifacts/report.job.report.json"
    report: dict[str, Any] = json.loads(await deployment.storage.get_bytes(key))
    return report


async def test_a_job_outlives_the_first_engine_of_every_stage_and_pays_nothing_twice(
    deployment, vendors: Vendors, source: tuple[ObjectRef, int]
) -> None:
    ref, duration_ms = source
    job_id = await deployment.submit(
        source=ref, duration_ms=duration_ms, target_languages=("es",), options=JobOptions(force=True)
    )
    async with deployment.worker(worker_retry_budget_s=1.0):
        job = await deployment.ended(job_id, timeout=300)
    assert (job.status, job.error, job.attempts) == (JobStatus.COMPLETED, None, 1)
    for vendor in (vendors.recognition, vendors.translation, vendors.synthesis):
        assert set(vendor.answered.values()) == {1}, "paid twice"
        assert (vendor.answered.total(), bool(vendor.refused)) == (vendor.lives, True), "it died within the job"
        assert vendor.answered.keys().isdisjoint(vendor.refused), "what was paid for was wanted again"
    report = await _report(deployment, job)
    [spanish] = report["languages"]
    fallbacks = [*report["source"]["fallbacks"], *spanish["fallbacks"]]
    assert [(one["stage"], one["from"], one["to"], one["reason"]) for one in fallbacks] == [
        ("asr", "deepgram", "pocketsphinx", "engine_failed"),
        ("translate", "openai", "apertium", "engine_key_refused"),
        ("tts", "openai", "espeak", "engine_failed"),
    ]
    lines = spanish["segments"]
    assert (fallbacks[2]["count"], fallbacks[2]["speakers"]) == (len(lines), ["speaker_1"])
    assert 0 < fallbacks[1]["count"] < len(lines)
    assert {engine["name"] for engine in spanish["lineage"]["asr"]} == {"deepgram", "pocketsphinx"}
    assert {engine["name"] for engine in spanish["lineage"]["translate"]} == {"openai", "apertium"}
    assert spanish["lineage"]["tts"]["name"] == "espeak"
    assert spanish["metrics"]["measured"]["dropped"] == 0
