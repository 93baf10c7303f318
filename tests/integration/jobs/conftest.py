"""A database with the job tables, and jobs in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs.leases import Claim, claim
from onevoice_jobs.postgres_store import PostgresJobStore
from onevoice_jobs.store import JobStore
from onevoice_jobs.submit import NewJob, insert_job
from onevoice_kit.db import transaction, uuid7
from onevoice_kit.storage.base import ObjectRef
from onevoice_local.databases import PostgresDatabases
from tests.support.databases import JOBS_EMPTY, emptied, migrated, opened

Submit = Callable[..., Awaitable[UUID]]
Take = Callable[..., Awaitable[JobStore]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def migrated_url(postgres: PostgresDatabases) -> AsyncIterator[str]:
    """A database with the tables, shared within a module: making one takes longer than most tests."""
    async with migrated(postgres, "jobs") as url:
        yield url


@pytest.fixture
async def database_url(migrated_url: str) -> str:
    """A database with empty tables."""
    return await emptied(migrated_url, *JOBS_EMPTY)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    async with opened(database_url) as engine:
        yield engine


@pytest.fixture
def user_id() -> UUID:
    return uuid7()


@pytest.fixture
def new_job(user_id: UUID) -> NewJob:
    return NewJob(
        user_id=user_id,
        video_id=uuid7(),
        source=ObjectRef("file:///users/u/videos/v/original.mp4", "a" * 64, 1234, "video/mp4"),
        filename="talk.mp4",
        target_languages=("es", "ca"),
        duration_ms=60_000,
        quoted_credits=120,
        source_language="en",
    )


@pytest.fixture
def submit(engine: AsyncEngine, new_job: NewJob) -> Submit:
    async def submit(**changes: Any) -> UUID:
        job_id = uuid7()
        async with transaction(engine) as connection:
            await insert_job(connection, replace(new_job, **changes), job_id)
        return job_id

    return submit


@pytest.fixture
def take(engine: AsyncEngine) -> Take:
    """Claims a job and gives the store of its lease."""

    async def take(job_id: UUID, owner: str = "worker-1", **options: Any) -> JobStore:
        claimed = await claim(engine, job_id, owner, **options)
        assert isinstance(claimed, Claim)
        return PostgresJobStore(engine, claimed.lease)

    return take
