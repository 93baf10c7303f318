"""The lease of a job: held by one worker under an epoch, which every write of the holder names."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Double, bindparam, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from onevoice_jobs.events import JOB_STARTED, record_events
from onevoice_jobs.models import jobs
from onevoice_jobs.queries import may_be_paid
from onevoice_jobs.records import Event, JobRecord
from onevoice_jobs.rows import JOB_COLUMNS, AnyRow, job_from_row
from onevoice_jobs.states import JobStatus
from onevoice_kit.db import transaction
from onevoice_kit.errors import Conflict

MAX_ATTEMPTS = 5


class LeaseLost(Conflict):
    """Another worker has taken the job over, or the job has ended."""

    def __init__(self, job_id: UUID) -> None:
        super().__init__(reason="lease_lost", details={"job_id": str(job_id)})

    def __reduce__(self) -> tuple[object, ...]:
        return (LeaseLost, (UUID(self.details["job_id"]),))


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write to a job."""

    job_id: UUID
    owner: str
    """The claim that granted it; see `claim`."""
    epoch: int
    """Grows with every claim; a write with an old epoch hits no row."""
    until: datetime
    """By the clock of the database."""


class Verdict(enum.StrEnum):
    """The work of the holder of a new lease."""

    RUN = "run"
    CANCEL = "cancel"
    """The user has cancelled: end the job as cancelled, unless it is paid for."""
    EXHAUSTED = "exhausted"
    """Tried too often: fail the job, dead-letter the message."""
    OVERDUE = "overdue"
    """Past its deadline: fail the job, unless it is paid for."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that is now ours."""

    lease: Lease
    job: JobRecord
    verdict: Verdict
    resumed: bool
    """True if an earlier worker may have left checkpoints."""


class Refusal(enum.StrEnum):
    """Reasons for which a claim is refused."""

    UNKNOWN = "unknown"
    """There is no such job: dead-letter the message."""
    ENDED = "ended"
    """Nothing is left to do but what must follow the end (release credits, delete the message)."""
    SUPERSEDED = "superseded"
    """The job was parked since the message was sent, so a newer one is on its way: delete this one."""
    HELD = "held"
    """Another worker holds it: try again when its lease could have ended."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The job is not ours."""

    reason: Refusal
    job: JobRecord | None
    """None where it is unknown."""
    retry_in_s: float = 0.0
    """The rest of the other worker's lease."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """A lease that goes on."""

    lease: Lease
    cancel_requested: bool


async def claim(
    engine: AsyncEngine,
    job_id: UUID,
    owner: str,
    *,
    ttl_s: float = 120.0,
    max_attempts: int = MAX_ATTEMPTS,
    sent_at: datetime | None = None,
) -> Claim | Refused:
    """
    Takes a job that is pending, or whose holder let its lease run out or gave it back.

    `owner` stands for this one claim: a caller that lost the reply repeats the claim under the same owner, and gets the
    lease that was granted, kept for `ttl_s` from now. Any other claim is another owner, also one by the same worker.

    `sent_at` is the time in the message that requests the job: one that a parked job has replaced since is refused, so
    that a worker which dies between parking the job and deleting its message does not leave two of them.

    A claim counts as an attempt. The lease is granted also where the verdict is not `RUN`, because ending the job
    is a write too. The first claim that runs the job, or may have to because it is paid for, records `job.started`.
    """
    async with transaction(engine) as connection:
        row = await _lock(connection, job_id)
        if row is None:
            return Refused(Refusal.UNKNOWN, None)
        if JobStatus(row.status).terminal:
            return Refused(Refusal.ENDED, await _job(connection, job_id))
        if row.lease_owner != owner and superseded(sent_at, row.waiting_since, row.enqueued_at):
            return Refused(Refusal.SUPERSEDED, await _job(connection, job_id))
        if row.held_s > 0:
            if row.lease_owner != owner:
                return Refused(Refusal.HELD, await _job(connection, job_id), row.held_s)
            return await _granted_before(connection, row, ttl_s, max_attempts)
        verdict = _verdict(row, row.attempts, max_attempts)
        runs = verdict is Verdict.RUN or (verdict is not Verdict.EXHAUSTED and await may_be_paid(connection, job_id))
        lease, job = await _grant(connection, job_id, owner, ttl_s, runs)
        if runs and row.status == JobStatus.PENDING:
            await record_events(connection, job_id, [Event(JOB_STARTED)])
        return Claim(lease, job, verdict, _resumed(row))


def superseded(sent_at: datetime | None, waiting_since: datetime | None, newest_at: datetime) -> bool:
    """
    True for a message that is older than the newest one of a job that has been parked. Only then are both times of the
    database: the last release's gateway takes that of the first message from its own clock.
    """
    return sent_at is not None and waiting_since is not None and sent_at < newest_at


async def renew(engine: AsyncEngine, lease: Lease, *, ttl_s: float = 120.0) -> Renewal:
    """Keeps the lease for `ttl_s` from now and returns whether the user has cancelled. Raises `LeaseLost`."""
    parameters = {"job_id": lease.job_id, "epoch": lease.epoch, "ttl_s": ttl_s}
    async with transaction(engine) as connection:
        row = (await connection.execute(_RENEW, parameters)).one_or_none()
    if row is None:
        raise LeaseLost(lease.job_id)
    renewed = Lease(lease.job_id, lease.owner, lease.epoch, row.lease_until)
    return Renewal(renewed, row.cancel_requested_at is not None)


async def give_back(engine: AsyncEngine, lease: Lease, *, count_attempt: bool = True) -> None:
    """
    Ends the lease so that the job can be claimed at once; later writes under it raise `LeaseLost`.

    `count_attempt=False` where the job did nothing wrong: the worker had to stop. A lease already lost is fine.
    """
    refund = 0 if count_attempt else 1
    statement = (
        update(jobs)
        .where(held_by(lease))
        .values(
            lease_owner=None,
            lease_until=None,
            lease_epoch=jobs.c.lease_epoch + 1,
            attempts=func.greatest(jobs.c.attempts - refund, 0),
        )
    )
    async with transaction(engine) as connection:
        await connection.execute(statement)


def held_by(lease: Lease) -> Any:
    """The condition that the lease is still the present one of its job."""
    return (jobs.c.id == lease.job_id) & (jobs.c.lease_epoch == lease.epoch)


# Built once (ADR 030): building a statement costs more than executing it.
_ID = jobs.c.id == bindparam("job_id")
_UNTIL = func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, bindparam("ttl_s", type_=Double))
_JOB = select(*JOB_COLUMNS).where(_ID)
_LOCK = (
    select(
        jobs.c.id,
        jobs.c.status,
        jobs.c.lease_owner,
        jobs.c.attempts,
        jobs.c.resumes,
        jobs.c.started_at,
        jobs.c.enqueued_at,
        jobs.c.waiting_since,
        jobs.c.cancel_requested_at,
        (jobs.c.deadline_at <= func.clock_timestamp()).label("overdue"),
        text("COALESCE(EXTRACT(EPOCH FROM lease_until - clock_timestamp()), 0)::float8 AS held_s"),
    )
    .where(_ID)
    .with_for_update()
)
_RENEW = (
    update(jobs)
    .where(_ID, jobs.c.lease_epoch == bindparam("epoch"))
    .values(lease_until=_UNTIL)
    .returning(jobs.c.lease_until, jobs.c.cancel_requested_at)
)
_KEEP = update(jobs).where(_ID).values(lease_until=_UNTIL).returning(jobs.c.lease_epoch, jobs.c.lease_until)
_GRANT = (
    update(jobs)
    .where(_ID)
    .values(
        lease_owner=bindparam("owner"),
        lease_until=_UNTIL,
        edits_epoch=jobs.c.lease_epoch + 1,
        lease_epoch=jobs.c.lease_epoch + 1,
        attempts=jobs.c.attempts + 1,
        updated_at=func.now(),
    )
    .returning(*JOB_COLUMNS, jobs.c.lease_until)
)
_GRANT_TO_RUN = _GRANT.values(status=JobStatus.PROCESSING, started_at=func.coalesce(jobs.c.started_at, func.now()))


async def _lock(connection: AsyncConnection, job_id: UUID) -> AnyRow | None:
    return (await connection.execute(_LOCK, {"job_id": job_id})).one_or_none()


def _verdict(row: AnyRow, attempts_before: int, max_attempts: int) -> Verdict:
    if row.cancel_requested_at is not None:
        return Verdict.CANCEL
    if row.overdue:
        return Verdict.OVERDUE
    return Verdict.EXHAUSTED if attempts_before >= max_attempts else Verdict.RUN


async def _granted_before(connection: AsyncConnection, row: AnyRow, ttl_s: float, max_attempts: int) -> Claim:
    """The claim is a repetition: its lease goes on, and the attempt is counted already."""
    kept = (await connection.execute(_KEEP, {"job_id": row.id, "ttl_s": ttl_s})).one()
    lease = Lease(row.id, row.lease_owner, kept.lease_epoch, kept.lease_until)
    verdict = _verdict(row, row.attempts - 1, max_attempts)
    return Claim(lease, await _job(connection, row.id), verdict, _resumed(row))


def _resumed(row: AnyRow) -> bool:
    return row.started_at is not None or row.resumes > 0


async def _grant(
    connection: AsyncConnection, job_id: UUID, owner: str, ttl_s: float, runs: bool
) -> tuple[Lease, JobRecord]:
    parameters = {"job_id": job_id, "owner": owner, "ttl_s": ttl_s}
    row = (await connection.execute(_GRANT_TO_RUN if runs else _GRANT, parameters)).one()
    return Lease(job_id, owner, row.lease_epoch, row.lease_until), job_from_row(row)


async def _job(connection: AsyncConnection, job_id: UUID) -> JobRecord:
    return job_from_row((await connection.execute(_JOB, {"job_id": job_id})).one())
