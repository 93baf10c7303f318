"""A worker with a real database and queue, and stage services that take no time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs import queries
from onevoice_jobs.models import outbox
from onevoice_jobs.notifications import Alerts
from onevoice_jobs.records import EventRecord, JobRecord
from onevoice_jobs.service import PostgresJobs
from onevoice_jobs.submit import NewJob, insert_job
from onevoice_kit.db import transaction, uuid7
from onevoice_kit.queue.outbox import OutboxQueue
from onevoice_kit.storage.base import ObjectRef
from onevoice_kit.storage.file import FileStorage
from onevoice_kit.testing.waiting import eventually
from onevoice_local.databases import PostgresDatabases
from services.orchestrator.clients import Clients
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.worker import Worker
from tests.support.databases import migrated, opened
from tests.support.instant_stages import Script, instant_stages
from tests.support.rig import running


@pytest.fixture
async def database_url(postgres: PostgresDatabases) -> AsyncIterator[str]:
    async with migrated(postgres, "jobs") as url:
        yield url


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    async with opened(database_url) as engine:
        yield engine


@pytest.fixture
def script() -> Script:
    return Script(segments=25)


@pytest.fixture
async def stages(script: Script) -> AsyncIterator[Clients]:
    async with instant_stages(script) as stages:
        yield stages


@dataclass
class Deployment:
    """Everything around the worker."""

    engine: AsyncEngine
    queue: OutboxQueue
    storage: FileStorage
    stages: Clients
    settings: OrchestratorSettings
    user_id: UUID

    async def submit(self, **changes: Any) -> UUID:
        """Submits a job and returns its id."""
        job = NewJob(
            user_id=self.user_id,
            video_id=uuid7(),
            source=ObjectRef("file:///users/u/videos/v/original.mp4", "a" * 64, 1234, "video/mp4"),
            filename="My talk.mp4",
            target_languages=("es", "ca"),
            duration_ms=50_000,
            quoted_credits=100,
            source_language="en",
        )
        job_id = uuid7()
        async with transaction(self.engine) as connection:
            await insert_job(connection, replace(job, **changes), job_id)
        return job_id

    @asynccontextmanager
    async def worker(self, *, alerts: Alerts | None = None, **changes: Any) -> AsyncIterator[Worker]:
        """Runs a worker for the length of the block, then stops it as a signal would."""
        settings = self.settings.model_copy(update=changes)
        worker = Worker(PostgresJobs(self.engine), self.queue, self.storage, self.stages, settings, alerts=alerts)
        async with running(worker):
            yield worker

    async def job(self, job_id: UUID) -> JobRecord:
        """The job as it is now."""
        async with transaction(self.engine) as connection:
            return (await queries.get_job(connection, self.user_id, job_id)).job

    async def ended(self, job_id: UUID, timeout: float = 180) -> JobRecord:
        """The job once it has ended."""

        async def terminal() -> bool:
            return (await self.job(job_id)).status.terminal

        await eventually(terminal, timeout=timeout)
        return await self.job(job_id)

    async def waiting(self, job_id: UUID) -> JobRecord:
        """The job once it waits for tts."""

        async def waits() -> bool:
            return (await self.job(job_id)).stage == "waiting for tts"

        await eventually(waits, timeout=60)
        return await self.job(job_id)

    async def events(self, job_id: UUID) -> list[EventRecord]:
        """Every event of the job."""
        async with transaction(self.engine) as connection:
            return list(await queries.events_after(connection, self.user_id, job_id))


@pytest.fixture
async def deployment(
    engine: AsyncEngine, stages: Clients, file_storage: FileStorage, database_url: str, tmp_path: Path
) -> AsyncIterator[Deployment]:
    settings = OrchestratorSettings(
        database_url=SecretStr(database_url),
        sqs_wait_time_seconds=1,
        worker_cancel_poll_s=0.05,
        worker_grace_s=0.0,
        storage_dir=tmp_path / "objects",
    )
    queue = OutboxQueue(engine, outbox, visibility_s=60)
    yield Deployment(engine, queue, file_storage, stages, settings, uuid7())
    await queue.close()
