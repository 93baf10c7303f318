"""The work of the gateway that no request waits for: housekeeping, sweeps of the storage, the relay of the outbox."""

from __future__ import annotations

import asyncio
import logging
import math
from datetime import timedelta
from functools import partial

from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs.models import outbox
from onevoice_jobs.queries import open_jobs_by_user
from onevoice_kit.db import Listener
from onevoice_kit.errors import OneVoiceError
from onevoice_kit.queue.relay import OutboxRelay, outbox_lag_s
from onevoice_kit.storage.base import Storage
from onevoice_kit.storage.file import FileStorage
from onevoice_kit.telemetry.metrics import OUTBOX_LAG_SECONDS, gauge
from services.gateway.background import Supervisor, Work, regularly
from services.gateway.idempotency.service import Idempotency
from services.gateway.settings import GatewaySettings
from services.gateway.uploads.removals import REQUEST_MARGIN, Orphans, Removals

logger = logging.getLogger(__name__)

RELAY, LAG = "outbox relay", "outbox lag"
_LAG_INTERVAL_S = 15.0
_SWEEP_INTERVAL_S = 3600.0
_SWEEP_AGE_S = 48 * 3600.0


def start_housekeeping(
    background: Supervisor, settings: GatewaySettings, idempotency: Idempotency, removals: Removals
) -> None:
    """Starts the removal of what dead calls, abandoned uploads and deleted rows leave."""
    rounds: dict[str, Work] = {
        "idempotency": idempotency.housekeeping,
        "uploads": removals.remove_stale,
        "removals": removals.sweep,
    }
    for name, work in rounds.items():
        background.start(name, regularly(name, work, settings.housekeeping_interval_s), needed=False)


def start_sweep(background: Supervisor, settings: GatewaySettings, engine: AsyncEngine, storage: Storage) -> None:
    """Starts the sweep of what uploads leave behind; the parts in a bucket are deleted by its lifecycle rule."""
    sweep = _sweep_of(settings, engine, storage)
    background.start("storage", regularly("storage", sweep, _SWEEP_INTERVAL_S), needed=False)


def start_relay(background: Supervisor, settings: GatewaySettings, engine: AsyncEngine, listener: Listener) -> None:
    """Starts the relay of the outbox, where the queue is not the database, and measures its lag."""
    background.start(LAG, partial(_measure_lag, engine), needed=False)
    if settings.use_sqs_task_queue:
        background.start(RELAY, partial(_relay, settings, engine, listener), needed=True)


def _sweep_of(settings: GatewaySettings, engine: AsyncEngine, storage: Storage) -> Work:
    if isinstance(storage, FileStorage):
        return partial(_sweep, storage)
    from onevoice_kit.storage.s3 import S3Storage

    if not isinstance(storage, S3Storage):
        raise TypeError(f"no sweep for {type(storage).__name__}")
    return Orphans(engine, storage, timedelta(seconds=settings.upload_expires_s) + REQUEST_MARGIN).sweep


async def _measure_lag(engine: AsyncEngine) -> None:
    """Sets the lag of the outbox. A task of its own, so that the metric grows when the relay stands still."""
    while True:
        try:
            lag_s = await outbox_lag_s(engine, outbox)
        except OneVoiceError:
            lag_s = math.nan  # no value is better than an old one
        gauge(OUTBOX_LAG_SECONDS).set(lag_s)
        await asyncio.sleep(_LAG_INTERVAL_S)


async def _sweep(storage: FileStorage) -> None:
    removed = await storage.sweep(_SWEEP_AGE_S)
    if removed:
        logger.info("removed what uploads left behind", extra={"files": removed})


async def _relay(settings: GatewaySettings, engine: AsyncEngine, listener: Listener) -> None:
    from onevoice_kit.queue.sqs import SqsQueue

    sender = SqsQueue(settings)
    try:
        await OutboxRelay(
            engine,
            outbox,
            sender,
            listener=listener,
            depth=sender.depth,
            backlog=settings.sqs_backlog,
            outstanding=open_jobs_by_user(),
            age_s=settings.queue_age_s,
            most_per_group=settings.queue_max_per_group,
        ).run()
    finally:
        await sender.close()
