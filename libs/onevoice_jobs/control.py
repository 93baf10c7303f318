"""Changes of a job from outside of its worker: cancel, resume, and the sweep for jobs that got stuck."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, cast, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from onevoice_jobs.events import JOB_CANCEL_REQUESTED, JOB_CANCELLED, JOB_RESUMED, record_events
from onevoice_jobs.messages import DubbingJobMessage
from onevoice_jobs.models import jobs, language_tasks, outbox, runs
from onevoice_jobs.queries import job_not_found, may_be_paid
from onevoice_jobs.records import Event
from onevoice_jobs.rows import AnyRow
from onevoice_jobs.states import JobStatus, LanguageStatus, RunReason, check_new_run, check_transition
from onevoice_kit.queue.outbox import enqueue, waiting

_CLEARED = dict.fromkeys(
    (
        *("error", "stage", "spent_credits", "cancel_requested_at", "started_at", "completed_at"),
        *("estimated_completion", "waiting_since"),
    )
)
_OPEN = [JobStatus.PENDING, JobStatus.PROCESSING]


async def request_cancel(connection: AsyncConnection, user_id: UUID, job_id: UUID) -> JobStatus:
    """
    Cancels a job in the caller's transaction; returns its status then.

    A job that no worker holds is cancelled at once; the caller releases its credits after the commit, and so does the
    worker that receives its message (releasing is idempotent). A message is sent with the cancel, because the one
    before may be a dead letter or lost, and the caller may die before it releases. A job that a worker holds is marked,
    and the worker ends it. So does the next worker where the job may be paid for: it queries billing and delivers what
    is paid for. A second request, or one for a job already cancelled, changes nothing. Raises `NotFound` (reason
    `job_not_found`), `Conflict` (reason `invalid_transition`) for a job that has completed or failed.
    """
    row = await lock_job(connection, user_id, job_id)
    status = JobStatus(row.status)
    if status is JobStatus.CANCELLED:
        return status
    check_transition(status, JobStatus.CANCELLED)
    # Asked under the lock: a worker that was taken for dead may have got this far just now.
    if not row.held and not await may_be_paid(connection, job_id):
        await _cancel_now(connection, job_id)
        await enqueue_job(connection, row)
        return JobStatus.CANCELLED
    if row.cancel_requested_at is None:
        await connection.execute(update(jobs).where(jobs.c.id == job_id).values(cancel_requested_at=func.now()))
        await record_events(connection, job_id, [Event(JOB_CANCEL_REQUESTED)])
    return status


async def resume_job(
    connection: AsyncConnection, user_id: UUID, job_id: UUID, *, reservation_id: str | None = None
) -> None:
    """
    Makes a failed or cancelled job pending again, in the caller's transaction; its checkpoints stay, so it goes on
    after the last good step. The caller has reserved its credits anew as `reservation_id`; none where those of the
    run before are spent already. Raises `NotFound` (reason `job_not_found`), `Conflict` (reason `invalid_transition`).
    """
    row = await lock_job(connection, user_id, job_id)
    check_new_run(JobStatus(row.status), RunReason.RESUME)
    present = select(runs.c.changed_ms).where(runs.c.job_id == job_id).order_by(runs.c.number.desc()).limit(1)
    changed = (await connection.execute(present)).scalar_one_or_none()
    values = {"reservation_id": reservation_id} if reservation_id else {}
    # Languages that the run before was not to make are not paid for, so they stay as they ended.
    languages = language_tasks.c.status != LanguageStatus.COMPLETED
    if changed is not None:
        languages &= language_tasks.c.language.in_(changed)
    # The trigger adds the run's row, with the price of the run before.
    await begin_run(connection, job_id, languages, values)
    await record_events(connection, job_id, [Event(JOB_RESUMED)])
    await enqueue_job(connection, row)


async def requeue_stuck(
    connection: AsyncConnection, *, older_than_s: float, limit: int = 100, spare_waiting: bool = False
) -> list[UUID]:
    """
    Sends a new message for open jobs that no worker holds and whose last message is older than `older_than_s`: the
    message was lost. A message too many does no harm; with `spare_waiting` those whose message still waits in the
    outbox get none. Safe with many sweepers; returns the jobs, at most `limit`.
    """
    statement = (
        select(jobs.c.id, jobs.c.user_id, jobs.c.video_id, jobs.c.priority, jobs.c.traceparent, jobs.c.attempts)
        .where(
            jobs.c.status.in_(_OPEN),
            jobs.c.enqueued_at < func.now() - func.make_interval(0, 0, 0, 0, 0, 0, older_than_s),
            func.coalesce(jobs.c.lease_until, func.now()) <= func.now(),
        )
        .order_by(jobs.c.enqueued_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    if spare_waiting:
        # Hashed once; `NOT IN` needs a list without NULL.
        named = func.coalesce(outbox.c.attributes["jobId"].astext, "")
        statement = statement.where(cast(jobs.c.id, Text).not_in(select(named).where(waiting(outbox))))
    rows = (await connection.execute(statement)).all()
    for row in rows:
        await enqueue_job(connection, row)
    return [row.id for row in rows]


async def overdue_jobs(connection: AsyncConnection, *, limit: int = 100) -> list[UUID]:
    """Open jobs past their deadline that no worker holds, at most `limit`."""
    statement = (
        select(jobs.c.id)
        .where(
            jobs.c.status.in_(_OPEN),
            jobs.c.deadline_at <= func.now(),
            func.coalesce(jobs.c.lease_until, func.now()) <= func.now(),
        )
        .order_by(jobs.c.deadline_at)
        .limit(limit)
    )
    return list((await connection.execute(statement)).scalars())


async def begin_run(
    connection: AsyncConnection, job_id: UUID, languages: ColumnElement[bool], values: Mapping[str, Any]
) -> None:
    """The row of the job begins a new run, with the time for it that the run before had; so do its `languages`."""
    began = select(runs.c.created_at).where(runs.c.job_id == jobs.c.id, runs.c.number == jobs.c.resumes + 1)
    deadline = func.now() + (jobs.c.deadline_at - func.coalesce(began.scalar_subquery(), jobs.c.created_at))
    run = {"status": JobStatus.PENDING, "attempts": 0, "resumes": jobs.c.resumes + 1, "deadline_at": deadline}
    await connection.execute(update(jobs).where(jobs.c.id == job_id).values(**_CLEARED, **run, **values))
    reopened = dict.fromkeys(("stage", "error", "started_at", "completed_at"))
    of_run = update(language_tasks).where(language_tasks.c.job_id == job_id, languages)
    await connection.execute(of_run.values(status=LanguageStatus.PENDING, **reopened))


async def lock_job(connection: AsyncConnection, user_id: UUID, job_id: UUID) -> AnyRow:
    """Locks a job of the user until the end of the transaction. Raises `NotFound` (reason `job_not_found`)."""
    held = func.coalesce(jobs.c.lease_until > func.clock_timestamp(), False)
    statement = (
        select(
            jobs.c.id,
            jobs.c.user_id,
            jobs.c.video_id,
            jobs.c.priority,
            jobs.c.traceparent,
            jobs.c.attempts,
            jobs.c.status,
            jobs.c.cancel_requested_at,
            held.label("held"),
        )
        .where(jobs.c.id == job_id, jobs.c.user_id == user_id)
        .with_for_update()
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise job_not_found()
    return row


async def _cancel_now(connection: AsyncConnection, job_id: UUID) -> None:
    # The epoch grows, so a worker that let its lease run out and wakes up later cannot write any more.
    await connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.status.in_(_OPEN))
        .values(
            status=JobStatus.CANCELLED,
            cancel_requested_at=func.now(),
            completed_at=func.now(),
            estimated_completion=None,
            spent_credits=0,
            lease_owner=None,
            lease_until=None,
            lease_epoch=jobs.c.lease_epoch + 1,
        )
    )
    await connection.execute(
        update(language_tasks)
        .where(language_tasks.c.job_id == job_id, language_tasks.c.status.in_(_OPEN))
        .values(status=LanguageStatus.CANCELLED, completed_at=func.now())
    )
    await record_events(connection, job_id, [Event(JOB_CANCELLED)])


async def enqueue_job(connection: AsyncConnection, row: AnyRow, *, delay_s: float = 0.0) -> None:
    """
    Sends a message for a job in the caller's transaction, delivered after `delay_s`. `row` has the job's `id`,
    `user_id`, `video_id`, `priority`, `traceparent` and `attempts`.
    """
    sent_at = (
        await connection.execute(
            update(jobs).where(jobs.c.id == row.id).values(enqueued_at=func.now()).returning(jobs.c.enqueued_at)
        )
    ).scalar_one()
    message = DubbingJobMessage(row.id, row.user_id, row.video_id, sent_at)
    attempt = row.attempts + 1
    sent = message.to_message(traceparent=row.traceparent, attempt=attempt)
    await enqueue(connection, outbox, sent, priority=row.priority, delay_s=delay_s)
