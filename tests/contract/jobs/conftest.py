"""The job engine on PostgreSQL and the one in memory, each behind the same interface for the cases of the contract."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs import control, queries, runs
from onevoice_jobs.leases import Claim
from onevoice_jobs.models import notifications, outbox
from onevoice_jobs.records import Artifact, Edit, EventRecord, JobRecord, LanguageRecord, RunRecord
from onevoice_jobs.service import Jobs, PostgresJobs
from onevoice_jobs.states import JobStatus
from onevoice_jobs.store import JobStore
from onevoice_jobs.submit import NewJob, insert_job
from onevoice_jobs.testing import MemoryJobs
from onevoice_kit.db import transaction, uuid7
from onevoice_kit.queue.base import Message
from onevoice_kit.storage.base import ObjectRef
from onevoice_local.databases import PostgresDatabases
from tests.support.databases import JOBS_EMPTY, emptied, migrated, opened

USER = UUID(int=7)
VIDEO = UUID(int=8)
SOURCE = ObjectRef("file:///users/u/videos/v/original.mp4", "a" * 64, 1234, "video/mp4")
NEW_JOB = NewJob(USER, VIDEO, SOURCE, "talk.mp4", ("es", "ca"), 60_000, 120, source_language="en")


class UnderTest(Protocol):
    """An engine with what happens to jobs from outside, and what can be seen of them."""

    jobs: Jobs

    async def submit(self, job_id: UUID | None = None, **changes: Any) -> UUID: ...
    async def cancel(self, job_id: UUID, user_id: UUID = USER) -> JobStatus: ...
    async def resume(self, job_id: UUID, reservation_id: str | None = None) -> None: ...
    async def edit(self, job_id: UUID, language: str, index: int, text: str) -> Edit: ...
    async def unpaid_changes(self, job_id: UUID) -> dict[str, int]: ...
    async def regenerate(self, job_id: UUID, reservation_id: str, quoted_credits: int) -> None: ...
    async def runs(self, job_id: UUID) -> Sequence[RunRecord]: ...
    async def past_artifacts(self, job_id: UUID, revision: int) -> Sequence[Artifact]: ...
    async def overdue(self) -> list[UUID]: ...
    async def requeue_stuck(self, *, older_than_s: float, limit: int = 100) -> list[UUID]: ...
    async def job(self, job_id: UUID) -> JobRecord: ...
    async def languages(self, job_id: UUID) -> Sequence[LanguageRecord]: ...
    async def events(self, job_id: UUID) -> Sequence[EventRecord]: ...
    async def artifacts(self, job_id: UUID) -> Sequence[Artifact]: ...
    async def sent(self) -> list[tuple[UUID, str, int]]: ...
    async def delays(self) -> list[float]: ...
    async def requested(self) -> list[datetime]: ...
    async def notifications(self) -> dict[str, tuple[str, str, Any]]: ...


class InMemory:
    """The engine in memory."""

    def __init__(self) -> None:
        self.messages: list[tuple[Message, int]] = []
        self.delays_s: list[float] = []
        self.memory = MemoryJobs(send=self._send)
        self.jobs: Jobs = self.memory

    async def submit(self, job_id: UUID | None = None, **changes: Any) -> UUID:
        job_id = job_id or uuid7()
        self.memory.submit(replace(NEW_JOB, **changes), job_id)
        return job_id

    async def cancel(self, job_id: UUID, user_id: UUID = USER) -> JobStatus:
        return self.memory.request_cancel(user_id, job_id)

    async def resume(self, job_id: UUID, reservation_id: str | None = None) -> None:
        self.memory.resume(USER, job_id, reservation_id=reservation_id)

    async def edit(self, job_id: UUID, language: str, index: int, text: str) -> Edit:
        return self.memory.edit(USER, job_id, language, index, text)

    async def unpaid_changes(self, job_id: UUID) -> dict[str, int]:
        return self.memory.unpaid_changes(USER, job_id)

    async def regenerate(self, job_id: UUID, reservation_id: str, quoted_credits: int) -> None:
        self.memory.regenerate(USER, job_id, reservation_id=reservation_id, quoted_credits=quoted_credits)

    async def runs(self, job_id: UUID) -> Sequence[RunRecord]:
        return self.memory.jobs[job_id].runs

    async def past_artifacts(self, job_id: UUID, revision: int) -> Sequence[Artifact]:
        past = self.memory.jobs[job_id].past_artifacts
        found = [made for (of, _, _), made in past.items() if of == revision]
        return sorted(found, key=lambda item: (item.language or "", item.kind))

    async def overdue(self) -> list[UUID]:
        return self.memory.overdue()

    async def requeue_stuck(self, *, older_than_s: float, limit: int = 100) -> list[UUID]:
        return self.memory.requeue_stuck(older_than_s=older_than_s, limit=limit)

    async def job(self, job_id: UUID) -> JobRecord:
        return self.memory.jobs[job_id].record

    async def languages(self, job_id: UUID) -> Sequence[LanguageRecord]:
        return list(self.memory.jobs[job_id].languages.values())

    async def events(self, job_id: UUID) -> Sequence[EventRecord]:
        return self.memory.jobs[job_id].events

    async def artifacts(self, job_id: UUID) -> Sequence[Artifact]:
        found = self.memory.jobs[job_id].artifacts.values()
        return sorted(found, key=lambda item: (item.language or "", item.kind))

    async def sent(self) -> list[tuple[UUID, str, int]]:
        return [_seen(message.body, message.attributes, priority) for message, priority in self.messages]

    async def delays(self) -> list[float]:
        return self.delays_s

    async def requested(self) -> list[datetime]:
        return [_requested(message.body) for message, _ in self.messages]

    def _send(self, message: Message, priority: int, delay_s: float) -> None:
        self.messages.append((message, priority))
        self.delays_s.append(delay_s)

    async def notifications(self) -> dict[str, tuple[str, str, Any]]:
        return {key: row for job in self.memory.jobs.values() for key, row in job.notifications.items()}


class OnPostgres:
    """The engine on a database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.jobs: Jobs = PostgresJobs(engine)

    async def submit(self, job_id: UUID | None = None, **changes: Any) -> UUID:
        job_id = job_id or uuid7()
        async with transaction(self.engine) as connection:
            await insert_job(connection, replace(NEW_JOB, **changes), job_id)
        return job_id

    async def cancel(self, job_id: UUID, user_id: UUID = USER) -> JobStatus:
        async with transaction(self.engine) as connection:
            return await control.request_cancel(connection, user_id, job_id)

    async def resume(self, job_id: UUID, reservation_id: str | None = None) -> None:
        async with transaction(self.engine) as connection:
            await control.resume_job(connection, USER, job_id, reservation_id=reservation_id)

    async def edit(self, job_id: UUID, language: str, index: int, text: str) -> Edit:
        async with transaction(self.engine) as connection:
            return await runs.edit_translation(connection, USER, job_id, language, index, text)

    async def unpaid_changes(self, job_id: UUID) -> dict[str, int]:
        async with transaction(self.engine) as connection:
            return await runs.unpaid_changes(connection, USER, job_id)

    async def regenerate(self, job_id: UUID, reservation_id: str, quoted_credits: int) -> None:
        async with transaction(self.engine) as connection:
            changed = await runs.unpaid_changes(connection, USER, job_id)
            await runs.start_edit_run(
                connection,
                USER,
                job_id,
                reservation_id=reservation_id,
                quoted_credits=quoted_credits,
                changed_ms=changed,
            )

    async def runs(self, job_id: UUID) -> Sequence[RunRecord]:
        async with transaction(self.engine) as connection:
            return await runs.list_runs(connection, USER, job_id)

    async def past_artifacts(self, job_id: UUID, revision: int) -> Sequence[Artifact]:
        async with transaction(self.engine) as connection:
            return await queries.list_artifacts(connection, USER, job_id, revision=revision)

    async def overdue(self) -> list[UUID]:
        async with transaction(self.engine) as connection:
            return await control.overdue_jobs(connection)

    async def requeue_stuck(self, *, older_than_s: float, limit: int = 100) -> list[UUID]:
        async with transaction(self.engine) as connection:
            return await control.requeue_stuck(connection, older_than_s=older_than_s, limit=limit)

    async def job(self, job_id: UUID) -> JobRecord:
        async with transaction(self.engine) as connection:
            return (await queries.get_job(connection, USER, job_id)).job

    async def languages(self, job_id: UUID) -> Sequence[LanguageRecord]:
        async with transaction(self.engine) as connection:
            return (await queries.get_job(connection, USER, job_id)).languages

    async def events(self, job_id: UUID) -> Sequence[EventRecord]:
        async with transaction(self.engine) as connection:
            return await queries.events_after(connection, USER, job_id)

    async def artifacts(self, job_id: UUID) -> Sequence[Artifact]:
        async with transaction(self.engine) as connection:
            return await queries.list_artifacts(connection, USER, job_id)

    async def sent(self) -> list[tuple[UUID, str, int]]:
        async with transaction(self.engine) as connection:
            rows = (await connection.execute(select(outbox).order_by(outbox.c.id))).all()
        return [_seen(row.body, row.attributes, row.priority) for row in rows]

    async def delays(self) -> list[float]:
        async with transaction(self.engine) as connection:
            delay = outbox.c.available_at - outbox.c.created_at
            rows = (await connection.execute(select(delay).order_by(outbox.c.id))).scalars()
            return [row.total_seconds() for row in rows]

    async def requested(self) -> list[datetime]:
        async with transaction(self.engine) as connection:
            bodies = (await connection.execute(select(outbox.c.body).order_by(outbox.c.id))).scalars()
            return [_requested(body) for body in bodies]

    async def notifications(self) -> dict[str, tuple[str, str, Any]]:
        async with transaction(self.engine) as connection:
            rows = (await connection.execute(select(notifications))).all()
        return {row.key: (row.kind, row.recipient, row.data) for row in rows}


def _seen(body: str, attributes: Any, priority: int) -> tuple[UUID, str, int]:
    return UUID(json.loads(body)["jobId"]), attributes["attempt"], priority


def _requested(body: str) -> datetime:
    return datetime.fromisoformat(json.loads(body)["requestedAt"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def migrated_url(postgres: PostgresDatabases) -> AsyncIterator[str]:
    """A database with the tables, shared within a module."""
    async with migrated(postgres, "jobs") as url:
        yield url


@pytest.fixture
async def on_postgres(migrated_url: str) -> AsyncIterator[OnPostgres]:
    """The engine on empty tables."""
    async with opened(await emptied(migrated_url, *JOBS_EMPTY)) as engine:
        yield OnPostgres(engine)


@pytest.fixture
def in_memory() -> InMemory:
    """An empty engine in memory."""
    return InMemory()


@pytest.fixture(params=["on_postgres", "in_memory"])
def under_test(request: pytest.FixtureRequest) -> UnderTest:
    """Each engine in turn."""
    engine: UnderTest = request.getfixturevalue(request.param)
    return engine


@pytest.fixture
def take(under_test: UnderTest) -> Any:
    """Claims a job and gives the store of its lease."""

    async def take(job_id: UUID, owner: str = "worker-1", *, ttl_s: float = 120, max_attempts: int = 5) -> JobStore:
        claimed = await under_test.jobs.claim(job_id, owner, ttl_s=ttl_s, max_attempts=max_attempts)
        assert isinstance(claimed, Claim)
        return under_test.jobs.store(claimed.lease)

    return take
