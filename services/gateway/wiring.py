"""Makes the parts of the gateway, once for the process; a route names those that it uses by their type."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs.models import outbox
from onevoice_kit.db import Listener, create_engine
from onevoice_kit.errors import PreconditionFailed
from onevoice_kit.grpc.client import connect
from onevoice_kit.queue import open_queue
from onevoice_kit.storage import Storage, open_storage
from services.gateway.accounts import Authenticator
from services.gateway.background import Supervisor
from services.gateway.catalogue.service import Catalogue
from services.gateway.clients.billing import BillingClient
from services.gateway.clients.mixer import MixerClient
from services.gateway.clients.stages import HealthClient, StageClient
from services.gateway.housekeeping import start_housekeeping, start_relay, start_sweep
from services.gateway.idempotency.service import Idempotency
from services.gateway.jobs.events import EventStreams
from services.gateway.jobs.results import Results
from services.gateway.jobs.runs import REGENERATE_JOB, RESUME_JOB, JobRuns
from services.gateway.jobs.submission import (
    CREATE_DUBBING_JOB,
    CREATE_JOB,
    JobLimits,
    Submission,
    undo_dubbing_job,
    undo_job,
)
from services.gateway.monitoring import Monitor
from services.gateway.settings import GatewaySettings
from services.gateway.uploads.removals import Removals
from services.gateway.uploads.repository import StorageQuota
from services.gateway.uploads.service import UploadService
from services.gateway.uploads.transfers import TransferLimits, Transfers
from services.gateway.videos.service import VideoService

SERVICE_NAMES = {
    "asr": "onevoice.asr.v1.AsrService",
    "translate": "onevoice.translate.v1.TranslateService",
    "tts": "onevoice.tts.v1.TtsService",
    "mixer": "onevoice.mixer.v1.MixerService",
    "billing": "onevoice.billing.v1.BillingService",
}

Parts = Mapping[type, Any]
"""The parts by their type, for `dependencies.part`."""


@asynccontextmanager
async def open_parts(settings: GatewaySettings) -> AsyncIterator[Parts]:
    """Connects to everything, keeps the background work running, and gives all of it back at the end."""
    if settings.storage_backend == "file" and not settings.storage_signing_key.get_secret_value():
        raise PreconditionFailed("STORAGE_SIGNING_KEY is not set.", reason="signing_key_missing")
    async with AsyncExitStack() as stack:
        engine = create_engine(settings)
        stack.push_async_callback(engine.dispose)
        storage = open_storage(settings)
        stack.push_async_callback(storage.close)
        listener = Listener(settings.database_url.get_secret_value())
        stack.push_async_callback(listener.close)
        channels = {name: connect(address, caller="gateway") for name, address in _addresses(settings).items()}
        for channel in channels.values():
            stack.push_async_callback(channel.close, None)
        queue = open_queue(settings, engine, outbox, listener=listener)
        stack.push_async_callback(queue.close)
        background = Supervisor()
        stack.push_async_callback(background.close)
        health = {name: HealthClient(channels[name], full) for name, full in SERVICE_NAMES.items()}
        billing, mixer = BillingClient(channels["billing"]), MixerClient(channels["mixer"])
        stages = StageClient(channels["asr"], channels["translate"], channels["tts"])
        events = EventStreams(engine, listener, settings.sse_heartbeat_s)
        stack.callback(events.close)
        parts = {
            GatewaySettings: settings,
            AsyncEngine: engine,
            Storage: storage,
            Supervisor: background,
            BillingClient: billing,
            EventStreams: events,
            Authenticator: Authenticator(engine),
            Monitor: Monitor(engine, storage, queue, health, background),
            **_features(settings, engine, storage, billing, mixer, Catalogue(stages, settings.catalogue_ttl_s)),
        }
        start_housekeeping(background, settings, parts[Idempotency], parts[Removals])
        start_sweep(background, settings, engine, storage)
        start_relay(background, settings, engine, listener)
        yield parts


def _features(
    settings: GatewaySettings,
    engine: AsyncEngine,
    storage: Storage,
    billing: BillingClient,
    mixer: MixerClient,
    catalogue: Catalogue,
) -> Parts:
    undo = {
        CREATE_JOB: undo_job(billing),
        RESUME_JOB: undo_job(billing),
        REGENERATE_JOB: undo_job(billing),
        CREATE_DUBBING_JOB: undo_dubbing_job(billing, storage),
    }
    idempotency = Idempotency(
        engine, running_s=settings.idempotency_running_s, keep_s=settings.idempotency_keep_s, undo=undo
    )
    quota = StorageQuota(settings.storage_quota_bytes)
    transfers = Transfers(storage, _transfer_limits(settings))
    return {
        Catalogue: catalogue,
        Idempotency: idempotency,
        Transfers: transfers,
        Removals: Removals(engine, storage),
        UploadService: UploadService(transfers, idempotency, quota),
        VideoService: VideoService(transfers, mixer, idempotency, quota),
        Submission: Submission(storage, catalogue, billing, mixer, idempotency, _job_limits(settings), quota),
        JobRuns: JobRuns(billing, idempotency),
        Results: Results(storage, settings.download_expires_s),
    }


def _addresses(settings: GatewaySettings) -> dict[str, str]:
    return {
        "asr": settings.asr_address,
        "translate": settings.translate_address,
        "tts": settings.tts_address,
        "mixer": settings.mixer_address,
        "billing": settings.billing_address,
    }


def _job_limits(settings: GatewaySettings) -> JobLimits:
    return JobLimits(settings.max_target_languages, settings.max_source_duration_s, settings.media_max_burn_in_pixels)


def _transfer_limits(settings: GatewaySettings) -> TransferLimits:
    return TransferLimits(
        max_bytes=settings.max_upload_bytes,
        multipart_threshold=settings.multipart_threshold_bytes,
        part_bytes=settings.multipart_part_bytes,
        expires_s=settings.upload_expires_s,
    )
