"""Milliseconds of orchestration per segment, with engines that take no time: flat from 50 to 500 segments."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from pathlib import Path
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs import queries
from onevoice_jobs.migrations import migrations_path
from onevoice_jobs.models import SCHEMA, outbox
from onevoice_jobs.service import PostgresJobs
from onevoice_jobs.submit import NewJob, insert_job
from onevoice_kit.db import create_engine, migrate, transaction, uuid7
from onevoice_kit.queue.outbox import OutboxQueue
from onevoice_kit.settings import DatabaseSettings
from onevoice_kit.storage.base import ObjectRef
from onevoice_kit.testing.storage import file_storage
from onevoice_local.postgres import EmbeddedPostgres
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.worker import Worker
from tests.support.instant_stages import Script, instant_stages

from .table import Row

SMALL, LARGE = 50, 500
ROUNDS = 3


def run() -> list[Row]:
    """The row of the table."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "postgres") as postgres:
        return asyncio.run(_measure(postgres.url, Path(folder)))


async def _measure(url: str, folder: Path) -> list[Row]:
    await migrate(url, migrations_path(), SCHEMA)
    settings = OrchestratorSettings(database_url=SecretStr(url), sqs_wait_time_seconds=1)
    engine = create_engine(DatabaseSettings(database_url=SecretStr(url)))
    try:
        await _job(engine, settings, folder, SMALL)  # warms connections and plans
        small = min([await _job(engine, settings, folder, SMALL) for _ in range(ROUNDS)]) / SMALL
        large = min([await _job(engine, settings, folder, LARGE) for _ in range(ROUNDS)]) / LARGE
    finally:
        await engine.dispose()
    detail = f"{large * 1000:.1f} ms/segment of {LARGE}, {small * 1000:.1f} of {SMALL}; best of {ROUNDS}"
    return [Row("orchestration per segment, 500 against 50", large / small, 1.0, detail)]


async def _job(engine: AsyncEngine, settings: OrchestratorSettings, folder: Path, segments: int) -> float:
    """Seconds from submission to the end of one job in one language."""
    storage, queue = file_storage(folder / "objects"), OutboxQueue(engine, outbox, visibility_s=60)
    user_id, job_id = uuid7(), uuid7()
    async with instant_stages(Script(segments=segments)) as stages:
        worker = asyncio.create_task(Worker(PostgresJobs(engine), queue, storage, stages, settings).run())
        try:
            started = time.perf_counter()
            async with transaction(engine) as connection:
                await insert_job(connection, _new_job(user_id, segments), job_id)
            await _ended(engine, user_id, job_id)
            return time.perf_counter() - started
        finally:
            worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):  # cancelled above
                await worker
            await queue.close()


def _new_job(user_id: UUID, segments: int) -> NewJob:
    return NewJob(
        user_id=user_id,
        video_id=uuid7(),
        source=ObjectRef("file:///users/u/videos/v/original.mp4", "a" * 64, 1, "video/mp4"),
        filename="bench.mp4",
        target_languages=("es",),
        duration_ms=segments * 2_000,
        quoted_credits=segments * 2,
        source_language="en",
    )


async def _ended(engine: AsyncEngine, user_id: UUID, job_id: UUID) -> None:
    while True:
        async with transaction(engine) as connection:
            view = await queries.get_job(connection, user_id, job_id)
        if view.job.status.terminal:
            if view.job.error:
                raise RuntimeError(view.job.error.message)
            return
        await asyncio.sleep(0.005)
