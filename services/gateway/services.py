"""Everything the routes need, wired once for the process."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import grpc
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs.models import outbox
from onevoice_jobs.queries import open_jobs_by_user
from onevoice_kit.db import Listener, create_engine
from onevoice_kit.errors import OneVoiceError, PreconditionFailed
from onevoice_kit.grpc.client import connect
from onevoice_kit.queue import open_queue
from onevoice_kit.queue.relay import OutboxRelay, outbox_lag_s
from onevoice_kit.storage import Storage, open_storage
from onevoice_kit.storage.file import FileStorage
from onevoice_kit.telemetry.metrics import gauge
from onevoice_kit.telemetry.names import OUTBOX_LAG_SECONDS
from services.gateway.auth.service import Authenticator
from services.gateway.background import Supervisor, Work, regularly
from services.gateway.catalogue.service import Catalogue
from services.gateway.clients.billing import BillingClient
from services.gateway.clients.health import HealthClient
from services.gateway.clients.mixer import MixerClient
from services.gateway.clients.stages import StageClient
from services.gateway.idempotency.service import Idempotency
from services.gateway.jobs.events import EventStreams
from services.gateway.jobs.runs import REGENERATE_JOB, RESUME_JOB, JobRuns
from services.gateway.jobs.service import JobService
from services.gateway.jobs.submission import (
    CREATE_DUBBING_JOB,
    CREATE_JOB,
    JobLimits,
    Submission,
    undo_dubbing_job,
    undo_job,
)
from services.gateway.monitoring.service import Monitor
from services.gateway.settings import GatewaySettings
from services.gateway.uploads.orphans import Orphans
from services.gateway.uploads.quota import StorageQuota
from services.gateway.uploads.removals import REQUEST_MARGIN, Removals
from services.gateway.uploads.service import UploadService
from services.gateway.uploads.transfers import TransferLimits, Transfers
from services.gateway.videos.service import VideoService

logger = logging.getLogger(__name__)

RELAY, LAG = "outbox relay", "outbox lag"
_LAG_INTERVAL_S = 15.0
_SWEEP_INTERVAL_S = 3600.0
_SWEEP_AGE_S = 48 * 3600.0

SERVICE_NAMES = {
    "asr": "onevoice.asr.v1.AsrService",
    "translate": "onevoice.translate.v1.TranslateService",
    "tts": "onevoice.tts.v1.TtsService",
    "mixer": "onevoice.mixer.v1.MixerService",
    "billing": "onevoice.billing.v1.BillingService",
}


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the gateway."""

    settings: GatewaySettings
    engine: AsyncEngine
    storage: Storage
    authenticator: Authenticator
    billing: BillingClient
    catalogue: Catalogue
    removals: Removals
    uploads: UploadService
    videos: VideoService
    jobs: JobService
    submission: Submission
    runs: JobRuns
    events: EventStreams
    monitor: Monitor
    background: Supervisor
    idempotency: Idempotency


@asynccontextmanager
async def open_services(settings: GatewaySettings) -> AsyncIterator[Services]:
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
        health = {name: HealthClient(channels[name], full) for name, full in SERVICE_NAMES.items()}
        monitor = Monitor(engine, storage, queue, health, background)
        services = _wire(settings, engine, storage, listener, channels, monitor, background)
        stack.push_async_callback(background.close)
        _start_background(services, listener)
        stack.callback(services.events.close)
        yield services


def _addresses(settings: GatewaySettings) -> dict[str, str]:
    return {
        "asr": settings.asr_address,
        "translate": settings.translate_address,
        "tts": settings.tts_address,
        "mixer": settings.mixer_address,
        "billing": settings.billing_address,
    }


def _wire(
    settings: GatewaySettings,
    engine: AsyncEngine,
    storage: Storage,
    listener: Listener,
    channels: dict[str, grpc.aio.Channel],
    monitor: Monitor,
    background: Supervisor,
) -> Services:
    billing, mixer = BillingClient(channels["billing"]), MixerClient(channels["mixer"])
    catalogue = Catalogue(
        StageClient(channels["asr"], channels["translate"], channels["tts"]), settings.catalogue_ttl_s
    )
    undo = {
        CREATE_JOB: undo_job(billing),
        RESUME_JOB: undo_job(billing),
        REGENERATE_JOB: undo_job(billing),
        CREATE_DUBBING_JOB: undo_dubbing_job(billing, storage),
    }
    idempotency = Idempotency(
        engine, running_s=settings.idempotency_running_s, keep_s=settings.idempotency_keep_s, undo=undo
    )
    removals = Removals(engine, storage)
    quota = StorageQuota(settings.storage_quota_bytes)
    transfers = Transfers(storage, _transfer_limits(settings))
    job_limits = JobLimits(
        settings.max_target_languages, settings.max_source_duration_s, settings.media_max_burn_in_pixels
    )
    return Services(
        settings=settings,
        engine=engine,
        storage=storage,
        authenticator=Authenticator(engine),
        billing=billing,
        catalogue=catalogue,
        removals=removals,
        uploads=UploadService(engine, storage, transfers, idempotency, quota, removals),
        videos=VideoService(engine, storage, transfers, mixer, idempotency, quota, removals),
        jobs=JobService(engine, storage, billing, settings.download_expires_s),
        submission=Submission(engine, storage, catalogue, billing, mixer, idempotency, job_limits, quota),
        runs=JobRuns(engine, billing, idempotency),
        events=EventStreams(engine, listener, settings.sse_heartbeat_s),
        monitor=monitor,
        background=background,
        idempotency=idempotency,
    )


def _transfer_limits(settings: GatewaySettings) -> TransferLimits:
    return TransferLimits(
        max_bytes=settings.max_upload_bytes,
        multipart_threshold=settings.multipart_threshold_bytes,
        part_bytes=settings.multipart_part_bytes,
        expires_s=settings.upload_expires_s,
    )


def _start_background(services: Services, listener: Listener) -> None:
    settings, start = services.settings, services.background.start
    interval_s = settings.housekeeping_interval_s
    housekeeping = {
        "idempotency": services.idempotency.housekeeping,
        "uploads": services.uploads.remove_stale,
        "removals": services.removals.sweep,
    }
    for name, work in housekeeping.items():
        start(name, regularly(name, work, interval_s), needed=False)
    start(LAG, partial(_measure_lag, services.engine), needed=False)
    sweep = _sweep_of(services)
    start("storage", regularly("storage", sweep, _SWEEP_INTERVAL_S), needed=False)
    if settings.use_sqs_task_queue:
        start(RELAY, partial(_relay, services, listener), needed=True)


async def _measure_lag(engine: AsyncEngine) -> None:
    """Sets the lag of the outbox. A task of its own, so that the metric grows when the relay stands still."""
    while True:
        try:
            lag_s = await outbox_lag_s(engine, outbox)
        except OneVoiceError:
            lag_s = math.nan  # no value is better than an old one
        gauge(OUTBOX_LAG_SECONDS).set(lag_s)
        await asyncio.sleep(_LAG_INTERVAL_S)


def _sweep_of(services: Services) -> Work:
    """Returns the sweep of what uploads leave behind; the parts in a bucket are deleted by its lifecycle rule."""
    if isinstance(services.storage, FileStorage):
        return partial(_sweep, services.storage)
    from onevoice_kit.storage.s3 import S3Storage

    if not isinstance(services.storage, S3Storage):
        raise TypeError(f"no sweep for {type(services.storage).__name__}")
    age = timedelta(seconds=services.settings.upload_expires_s) + REQUEST_MARGIN
    return Orphans(services.engine, services.storage, age).sweep


async def _sweep(storage: FileStorage) -> None:
    removed = await storage.sweep(_SWEEP_AGE_S)
    if removed:
        logger.info("removed what uploads left behind", extra={"files": removed})


async def _relay(services: Services, listener: Listener) -> None:
    from onevoice_kit.queue.sqs import SqsQueue

    sender = SqsQueue(services.settings)
    try:
        await OutboxRelay(
            services.engine,
            outbox,
            sender,
            listener=listener,
            depth=sender.depth,
            backlog=services.settings.sqs_backlog,
            outstanding=open_jobs_by_user(),
            age_s=services.settings.queue_age_s,
            most_per_group=services.settings.queue_max_per_group,
        ).run()
    finally:
        await sender.close()
