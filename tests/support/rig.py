"""Jobs on a real database with real billing and workers of this process, whose every way to others can be broken."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs import control, queries
from onevoice_jobs.messages import DubbingJobMessage
from onevoice_jobs.models import outbox
from onevoice_jobs.records import EventRecord, JobRecord
from onevoice_jobs.service import Jobs, PostgresJobs
from onevoice_jobs.states import JobStatus
from onevoice_jobs.submit import NewJob, insert_job
from onevoice_kit.db import create_engine, transaction, uuid7
from onevoice_kit.grpc.client import connect
from onevoice_kit.grpc.server import GrpcServer
from onevoice_kit.queue.base import Queue
from onevoice_kit.queue.outbox import OutboxQueue, enqueue
from onevoice_kit.queue.relay import OutboxRelay
from onevoice_kit.queue.sqs import SqsQueue
from onevoice_kit.settings import ClientSettings, GrpcServerSettings
from onevoice_kit.storage.base import ObjectRef, Storage
from onevoice_kit.testing.tcp_proxy import Dial, tcp, unix
from onevoice_kit.testing.waiting import eventually
from services.billing.ledger import Ledger
from services.billing.servicer import BillingServicer
from services.orchestrator.clients import AsrClient, BillingClient, Clients, MixerClient, TranslateClient, TtsClient
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.worker import Worker
from tests.support.access import ACCESS
from tests.support.databases import opened
from tests.support.instant_stages import Script
from tests.support.storing_stages import register_stages

LINES = 4
PRICE = 16
"""Four lines are eight seconds, in two languages."""
FREE_CREDITS, RESERVED = 600, 100
Wrap = Callable[[Any], Any]


def dial_postgres(url: str) -> Dial:
    """The address of a database server for a proxy."""
    address = make_url(url)
    folder = address.query.get("host")
    if folder:
        return unix(f"{folder}/.s.PGSQL.{address.port or 5432}")
    return tcp(address.host or "127.0.0.1", address.port or 5432)


def through(url: str, port: int) -> str:
    """The same database by way of a proxy."""
    address = make_url(url).set(host="127.0.0.1", port=port, query={})
    return address.render_as_string(hide_password=False)


@dataclass
class Rig:
    """The surroundings of the workers. The test itself uses no proxy."""

    database_url: str
    engine: AsyncEngine
    storage: Storage
    ledger: Ledger
    script: Script
    stages_address: str
    settings: OrchestratorSettings
    user_id: UUID

    async def submit(self, **changes: Any) -> UUID:
        """A job whose credits are reserved as the gateway does; returns its id."""
        job, job_id = _job(self.user_id), uuid7()
        await self.ledger.reserve(str(self.user_id), str(job_id), RESERVED)
        async with transaction(self.engine) as connection:
            await insert_job(connection, replace(job, **changes), job_id)
        return job_id

    async def cancel(self, job_id: UUID) -> JobStatus:
        """Does the work of the user's request."""
        async with transaction(self.engine) as connection:
            return await control.request_cancel(connection, self.user_id, job_id)

    async def send(self, job_id: UUID) -> None:
        """One more message for a job, whatever has become of it."""
        message = DubbingJobMessage(job_id, self.user_id, uuid7(), datetime.now(UTC))
        async with transaction(self.engine) as connection:
            await enqueue(connection, outbox, message.to_message())

    async def duplicate_messages(self, copies: int) -> None:
        """Every waiting message is there `copies` times."""
        columns = "body, attributes, group_id, priority"
        statement = text(
            f"INSERT INTO jobs.outbox ({columns}) SELECT {columns} FROM jobs.outbox, generate_series(2, :copies)"
        )
        async with transaction(self.engine) as connection:
            await connection.execute(statement, {"copies": copies})

    @asynccontextmanager
    async def worker(
        self,
        *,
        database_url: str | None = None,
        stages_address: str | None = None,
        queue: Queue | None = None,
        wrap_queue: Callable[[Queue], Queue] = lambda queue: queue,
        wrap_jobs: Callable[[Jobs], Jobs] = lambda jobs: jobs,
        storage: Storage | None = None,
        client: ClientSettings | None = None,
        **changes: Any,
    ) -> AsyncIterator[Worker]:
        """A worker with connections of its own for the length of the block; then it stops as by a signal."""
        url = database_url or self.database_url
        settings = self.settings.model_copy(update={"database_url": SecretStr(url), **changes})
        async with AsyncExitStack() as stack:
            engine = create_engine(settings)
            stack.push_async_callback(engine.dispose)
            own = wrap_queue(queue or OutboxQueue(engine, outbox, visibility_s=settings.receipt_visibility_s))
            stack.push_async_callback(own.close)
            channel = connect(stages_address or self.stages_address, client)
            stack.push_async_callback(channel.close, None)
            worker = Worker(wrap_jobs(PostgresJobs(engine)), own, storage or self.storage, stages_on(channel), settings)
            async with running(worker):
                yield worker

    async def relay(self, sender: SqsQueue) -> None:
        """Moves what waits in the outbox to SQS, once."""
        await OutboxRelay(self.engine, outbox, sender).relay_batch()
        await sender.close()

    async def job(self, job_id: UUID) -> JobRecord:
        """The job as it is now."""
        async with transaction(self.engine) as connection:
            return (await queries.get_job(connection, self.user_id, job_id)).job

    async def events(self, job_id: UUID) -> list[EventRecord]:
        """Every event of the job's watchers."""
        async with transaction(self.engine) as connection:
            return list(await queries.events_after(connection, self.user_id, job_id))

    async def over(self, job_id: UUID) -> bool:
        """True once the job has ended and no message of it waits in the outbox."""
        statement = text("SELECT count(*) FROM jobs.outbox WHERE sent_at IS NULL AND dead_at IS NULL AND body LIKE :id")
        async with transaction(self.engine) as connection:
            job = (await queries.get_job(connection, self.user_id, job_id)).job
            left = (await connection.execute(statement, {"id": f"%{job_id}%"})).scalar_one()
        return job.status.terminal and not left

    async def until_over(self, *job_ids: UUID, timeout_s: float = 180.0) -> None:
        """Waits for the end of jobs and of their messages."""

        async def over() -> bool:
            return all([await self.over(job_id) for job_id in job_ids])

        await eventually(over, timeout_s, interval=0.05)


def stages_on(channel: grpc.aio.Channel) -> Clients:
    """Every service by one channel."""
    return Clients(
        AsrClient(channel), TranslateClient(channel), TtsClient(channel), MixerClient(channel), BillingClient(channel)
    )


@asynccontextmanager
async def running(worker: Worker) -> AsyncIterator[None]:
    """Runs a worker for the length of the block, then stops it as a signal would."""
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):  # cancelled above
            await task


@asynccontextmanager
async def rig(
    database_url: str, storage: Storage, folder: Path, wrap: Wrap = lambda servicer: servicer
) -> AsyncIterator[Rig]:
    """A rig in which nothing has happened yet. `wrap` puts something around each servicer."""
    script = Script(segments=LINES)
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(opened(database_url))
        ledger = Ledger(engine, FREE_CREDITS)

        def register(server: grpc.aio.Server) -> None:
            register_stages(server, script, storage, wrap)
            billing = wrap(BillingServicer(ledger))
            BillingServicer.register(billing, server)

        server = GrpcServer(GrpcServerSettings(grpc_host="127.0.0.1", grpc_port=0), "all", register, services=ACCESS)
        await server.start()
        stack.push_async_callback(server.stop, 0)
        settings = OrchestratorSettings(
            database_url=SecretStr(database_url),
            database_connect_timeout_s=0.5,
            database_answer_timeout_s=1.0,
            database_pool_size=4,
            storage_dir=folder,
            sqs_wait_time_seconds=1,
            worker_lease_s=4.0,
            worker_renew_s=1.0,
            worker_cancel_poll_s=0.2,
            worker_grace_s=0.0,
            worker_max_attempts=20,
            worker_wait_min_s=0.1,
            worker_wait_max_s=1.0,
        )
        yield Rig(database_url, engine, storage, ledger, script, server.address, settings, uuid7())


def _job(user_id: UUID) -> NewJob:
    return NewJob(
        user_id=user_id,
        video_id=uuid7(),
        source=ObjectRef("file:///users/u/videos/v/original.mp4", "a" * 64, 1234, "video/mp4"),
        filename="My talk.mp4",
        target_languages=("es", "ca"),
        duration_ms=LINES * 2_000,
        quoted_credits=RESERVED,
        source_language="en",
    )
