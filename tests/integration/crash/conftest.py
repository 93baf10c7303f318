"""A deployment whose orchestrators are processes that die at a chosen point; the rest lives on in the test."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import pytest
import pytest_asyncio
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs.control import request_cancel
from onevoice_jobs.models import jobs, notifications, outbox, steps
from onevoice_jobs.states import JobStatus
from onevoice_jobs.submit import NewJob, insert_job
from onevoice_kit.db import transaction
from onevoice_kit.grpc.server import GrpcServer
from onevoice_kit.settings import GrpcServerSettings
from onevoice_kit.storage.base import ObjectRef, Storage
from onevoice_kit.testing.storage import file_storage
from onevoice_kit.testing.waiting import eventually
from onevoice_local.databases import PostgresDatabases
from services.billing.ledger import Ledger
from services.billing.models import ReservationState, reservations
from services.billing.servicer import BillingServicer
from tests.support.access import ACCESS
from tests.support.crash_points import read_log
from tests.support.databases import JOBS_EMPTY, LEDGER_EMPTY, emptied, migrated, opened
from tests.support.instant_stages import Script
from tests.support.storing_stages import register_stages
from tests.support.zygote import Child, Zygote

USER = UUID("01900000-0000-7000-8000-000000000001")
JOB = UUID("01900000-0000-7000-8000-000000000002")
"""Always the same, so that everything a job makes is the same to the byte, whichever process made it."""
LINES = 4
PATIENCE_S = 120.0
"""Longest time for any wait on a machine that is busy with other things."""
FREE_CREDITS, RESERVED = 600, 100


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """The parent that the processes are forked from."""
    zygote = Zygote("tests.support.crashing_processes")
    yield zygote
    zygote.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def migrated_url(postgres: PostgresDatabases) -> AsyncIterator[str]:
    """A database with every table, shared within a module: making one takes longer than a job."""
    async with migrated(postgres, "jobs", "billing") as url:
        yield url


@dataclass
class Orchestrator:
    """A running process and the points it has passed."""

    child: Child
    log: Path

    @property
    def passed(self) -> list[str]:
        return read_log(self.log)


@dataclass
class World:
    """The surroundings of the orchestrators."""

    database_url: str
    engine: AsyncEngine
    storage: Storage
    ledger: Ledger
    script: Script
    zygote: Zygote
    folder: Path
    environment: dict[str, str]
    """Settings of the processes."""
    stack: AsyncExitStack
    processes: list[Orchestrator] = field(default_factory=list)
    become_visible: Callable[[], None] = lambda: None
    """Ends the time for which another queue than the outbox hides messages."""
    names: Iterator[int] = field(default_factory=itertools.count)

    async def start(
        self,
        role: str = "orchestrator",
        *,
        die_at: str = "",
        occurrence: int = 1,
        hold: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        **request: Any,
    ) -> Orchestrator:
        """A process that dies at a point, or with the test."""
        name = next(self.names)
        log, output = self.folder / f"points-{name}", self.folder / f"output-{name}"
        child = await self.zygote.start(
            output,
            {**self.environment, **(environment or {})},
            role=role,
            log=str(log),
            die_at=die_at,
            occurrence=occurrence,
            hold=hold,
            **request,
        )
        self.stack.push_async_callback(child.kill)
        self.processes.append(Orchestrator(child, log))
        return self.processes[-1]

    async def submit(self) -> None:
        """The job, its credits reserved as the gateway does."""
        await self.ledger.reserve(str(USER), str(JOB), RESERVED)
        job = NewJob(
            user_id=USER,
            video_id=UUID(int=3),
            source=ObjectRef("file:///users/u/videos/v/original.mp4", "a" * 64, 1234, "video/mp4"),
            filename="My talk.mp4",
            target_languages=("es", "ca"),
            duration_ms=LINES * 2_000,
            quoted_credits=RESERVED,
            source_language="en",
            notify_email="ada@example.com",
        )
        async with transaction(self.engine) as connection:
            await insert_job(connection, job, JOB)

    async def cancel(self) -> None:
        """Cancels the job as the user's request does."""
        async with transaction(self.engine) as connection:
            await request_cancel(connection, USER, JOB)

    async def execute(self, *statements: str) -> None:
        """Changes the database from outside of this world."""
        async with transaction(self.engine) as connection:
            for statement in statements:
                await connection.execute(text(statement))

    async def leases_run_out(self) -> None:
        """Ends the lease and hides the message no longer, as the time of a lease would; waits that are due are over."""
        await self.execute(
            "UPDATE jobs.jobs SET lease_until = now() WHERE lease_until IS NOT NULL",
            "UPDATE jobs.outbox SET claimed_until = now() WHERE claimed_until > now()",
            "UPDATE jobs.outbox SET available_at = now()",
            "UPDATE jobs.notifications SET available_at = now() WHERE sent_at IS NULL",
            "SELECT pg_notify('jobs_outbox', '')",
        )
        self.become_visible()

    async def completed_steps(self) -> set[str]:
        """The steps whose result is stored."""
        statement = select(steps.c.step_key).where(steps.c.job_id == JOB, steps.c.completed_at.is_not(None))
        async with transaction(self.engine) as connection:
            return set((await connection.execute(statement)).scalars())

    async def over(self) -> bool:
        """Returns True when the job has ended, has no messages and no reservation, and its notifications are sent."""
        waiting = select(func.count()).select_from(outbox).where(outbox.c.dead_at.is_(None), outbox.c.sent_at.is_(None))
        untold = select(func.count()).select_from(notifications).where(notifications.c.sent_at.is_(None))
        unspent = select(func.count()).select_from(reservations).where(reservations.c.state == ReservationState.OPEN)
        async with transaction(self.engine) as connection:
            status = (await connection.execute(select(jobs.c.status).where(jobs.c.id == JOB))).scalar_one()
            left = [(await connection.execute(count)).scalar_one() for count in (waiting, untold, unspent)]
            return JobStatus(status).terminal and not any(left)

    async def until_over(self) -> None:
        """Waits for the end."""
        await eventually(self.over, PATIENCE_S)


@asynccontextmanager
async def new_world(database_url: str, zygote: Zygote, folder: Path) -> AsyncIterator[World]:
    """A world in which nothing has happened yet; what was in the database is gone."""
    script, storage = Script(segments=LINES, summary=True), file_storage(folder / "objects")
    async with AsyncExitStack() as stack:
        await emptied(database_url, *JOBS_EMPTY, *LEDGER_EMPTY)
        engine = await stack.enter_async_context(opened(database_url))
        ledger = Ledger(engine, FREE_CREDITS)

        def register(server: grpc.aio.Server) -> None:
            register_stages(server, script, storage)
            BillingServicer(ledger).register(server)

        server = GrpcServer(GrpcServerSettings(grpc_host="127.0.0.1", grpc_port=0), "all", register, services=ACCESS)
        await server.start()
        stack.push_async_callback(server.stop, 0)
        addresses = {f"{name}_ADDRESS": server.address for name in ("ASR", "TRANSLATE", "TTS", "MIXER", "BILLING")}
        environment = {
            "DATABASE_URL": database_url,
            "STORAGE_DIR": str(folder / "objects"),
            "GRPC_HOST": "127.0.0.1",
            "GRPC_PORT": "0",
            "WORKER_CANCEL_POLL_S": "0.05",
            "WORKER_GRACE_S": "0",
            "NOTIFY_POLL_S": "0.05",
            "SWEEP_INTERVAL_S": "3600",
            **addresses,
        }
        yield World(database_url, engine, storage, ledger, script, zygote, folder, environment, stack)


Worlds = Callable[[], AbstractAsyncContextManager[World]]


@pytest.fixture
def worlds(migrated_url: str, zygote: Zygote, tmp_path: Path) -> Worlds:
    """Makes worlds, one after the other."""
    numbers = itertools.count()

    def make() -> AbstractAsyncContextManager[World]:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return new_world(migrated_url, zygote, folder)

    return make


@pytest.fixture
async def world(worlds: Worlds) -> AsyncIterator[World]:
    """The only world of a test."""
    async with worlds() as world:
        yield world
