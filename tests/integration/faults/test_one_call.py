"""Words and speakers of a job in one call of a vendor, which is paid once whatever dies beside it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from onevoice.mixer.v1 import mixer_service_pb2 as mixer
from onevoice_jobs.keys import job_prefix
from onevoice_kit.grpc.converters import ref_to_proto
from onevoice_kit.storage.file import FileStorage
from onevoice_kit.testing.waiting import eventually
from services.asr.settings import AsrSettings
from services.asr.wiring import wire
from tests.support import storing_stages, vendor_apis
from tests.support.answers import LateAnswer
from tests.support.outcomes import assert_completed_once
from tests.support.rig import Rig
from tests.support.rig import rig as new_rig
from tests.support.vendor_server import KEY, Reply, VendorServer, vendor_server
from tests.unit.asr import samples

SECONDS = 8
"""Of the source; the vendor finds one speaker in its first half, another in the second."""


class RealAsr:
    """The service as it is, but for the detection of speech."""

    def __init__(self, scripted: Any, real: Any) -> None:
        self._scripted, self._real = scripted, real

    def __getattr__(self, method: str) -> Any:
        if method == "DetectSpeech":
            return self._scripted.DetectSpeech
        if method in ("Transcribe", "Diarize"):
            return self._streams(getattr(self._real, method))
        return getattr(self._real, method)

    def _streams(self, found: Any) -> Any:
        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            async for message in found(request, context):
                yield message

        return stream


class RealSound:
    """The mixer with a source that can be decoded."""

    def __init__(self, scripted: Any, storage: FileStorage, sound: Path) -> None:
        self._scripted, self._storage, self._sound = scripted, storage, sound

    def __getattr__(self, method: str) -> Any:
        return getattr(self._scripted, method)

    async def ExtractAudio(self, request: Any, context: Any) -> AsyncIterator[mixer.ExtractAudioResponse]:
        async for message in self._scripted.ExtractAudio(request, context):
            key = f"{request.output_prefix}/heard.flac"
            stored = await self._storage.put_file(key, self._sound, "audio/flac")
            message.result.speech.CopyFrom(ref_to_proto(stored))
            yield message


class World:
    """A rig whose recognition is the real service with a vendor's engine."""

    def __init__(self, rig: Rig, vendor: VendorServer, late: LateAnswer) -> None:
        self.rig, self.vendor, self.late = rig, vendor, late
        self.gate = asyncio.Event()

    async def hold(self, server: VendorServer, reply: Reply, writer: asyncio.StreamWriter) -> None:
        """The vendor answers when the gate opens."""
        await self.gate.wait()
        writer.write(reply.encoded())
        await writer.drain()

    async def report(self, job_id: UUID) -> Any:
        job = await self.rig.job(job_id)
        key = f"{job_prefix(job.user_id, job.id)}/artifacts/report.job.report.json"
        return json.loads(await self.rig.storage.get_bytes(key))


@pytest.fixture
async def world(database_url: str, file_storage: FileStorage, tmp_path: Path) -> AsyncIterator[World]:
    late = LateAnswer("Diarize", times=0)
    async with AsyncExitStack() as stack:
        vendor = await stack.enter_async_context(vendor_server(vendor_apis.deepgram_transcription))
        settings = AsrSettings(
            asr_transcription_engines=("deepgram",),
            asr_diarization_engines=("deepgram", "single"),
            deepgram_base_url=vendor.url,
            deepgram_api_key=KEY,
        )
        service = wire(settings, file_storage)
        stack.push_async_callback(service.close)
        sound = samples.write(tmp_path / "heard.flac", samples.noise(SECONDS))

        def wrap(servicer: Any) -> Any:
            if isinstance(servicer, storing_stages.Asr):
                return late.wrap(RealAsr(servicer, service.servicer))
            if isinstance(servicer, storing_stages.Mixer):
                return RealSound(servicer, file_storage, sound)
            return servicer

        rig = await stack.enter_async_context(new_rig(database_url, file_storage, tmp_path / "objects", wrap))
        yield World(rig, vendor, late)


async def assert_paid_once(world: World, job_id: UUID) -> None:
    await assert_completed_once(world.rig, job_id)
    [request] = world.vendor.requests
    assert request.query["diarize"] == "true"
    report = await world.report(job_id)
    assert report["source"]["cost"] == [{"stage": "asr", "engine": "deepgram", "usd": "0.001027"}]
    [spanish] = [one for one in report["languages"] if one["language"] == "es"]
    engines = {stage: spanish["lineage"][stage]["name"] for stage in ("asr", "diarization")}
    assert engines == {"asr": "deepgram", "diarization": "deepgram"}
    assert {segment["speaker"] for segment in spanish["segments"]} == {"speaker_1", "speaker_2"}


async def test_a_job_whose_worker_stops_before_it_has_the_reply_pays_the_vendor_once(world: World) -> None:
    world.late.keep(1)
    job_id = await world.rig.submit()
    async with world.rig.worker():
        await eventually(world.late.kept.is_set)
    async with world.rig.worker():
        await world.rig.until_over(job_id)
    await assert_paid_once(world, job_id)


async def test_a_job_whose_worker_stops_while_the_vendor_works_pays_the_vendor_once(world: World) -> None:
    world.vendor.fault = world.hold
    job_id = await world.rig.submit()
    async with world.rig.worker():
        await world.vendor.asked.wait()
    async with world.rig.worker():
        world.gate.set()
        await world.rig.until_over(job_id)
    await assert_paid_once(world, job_id)
