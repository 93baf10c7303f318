"""Runs of a job: edits wait for the next one, and each is charged under a reservation of its own (ADR 011)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from onevoice_jobs.control import enqueue_job, lock_job
from onevoice_jobs.edits import (
    changed_languages,
    changed_ms,
    check_editable,
    plan_segment_edits,
    plan_translation_edits,
)
from onevoice_jobs.events import JOB_REGENERATED, JOB_RESUMED, record_events
from onevoice_jobs.models import edits, jobs, language_tasks, runs, steps
from onevoice_jobs.queries import PAYMENT_STEPS, get_job, list_segments, list_translations
from onevoice_jobs.records import Edit, Event, JobRecord, RunKind, RunRecord
from onevoice_jobs.rows import AnyRow, edit_from_row, run_from_row
from onevoice_jobs.states import JobStatus, LanguageStatus, check_new_run
from onevoice_kit.db import uuid7
from onevoice_kit.errors import Conflict

_CLEARED = (
    "error",
    "stage",
    "spent_credits",
    "cancel_requested_at",
    "started_at",
    "completed_at",
    "estimated_completion",
)


async def edit_segment(
    connection: AsyncConnection, user_id: UUID, job_id: UUID, index: int, changes: Mapping[str, str | int]
) -> list[Edit]:
    """
    Stores edits of a source line (`text`, `start_ms`, `end_ms`, `speaker`) for the next run, in the caller's
    transaction; an edit of the same value that still waits is replaced. Raises `NotFound` (reason `job_not_found`),
    `Conflict` (reason `job_not_ended`) and what `plan_segment_edits` raises.
    """
    await _lock_editable(connection, user_id, job_id)
    segments = await list_segments(connection, user_id, job_id)
    planned = plan_segment_edits(segments, await _edits(connection, job_id, edits.c.run.is_(None)), index, changes)
    return await _store(connection, job_id, planned)


async def edit_translation(
    connection: AsyncConnection,
    user_id: UUID,
    job_id: UUID,
    language: str,
    index: int,
    changes: Mapping[str, str | int],
) -> list[Edit]:
    """Stores edits of a translated line (`text`, `voice`), as `edit_segment`; errors of `plan_translation_edits`."""
    await _lock_editable(connection, user_id, job_id)
    lines = await list_translations(connection, user_id, job_id, language)
    translation = next((line for line in lines if line.index == index), None)
    segments = await list_segments(connection, user_id, job_id)
    return await _store(connection, job_id, plan_translation_edits(segments, translation, changes))


async def list_edits(connection: AsyncConnection, user_id: UUID, job_id: UUID) -> list[Edit]:
    """Every edit of a job in the order of the runs, those that wait for one last. Raises `NotFound`."""
    await get_job(connection, user_id, job_id)
    return await _edits(connection, job_id)


async def list_runs(connection: AsyncConnection, user_id: UUID, job_id: UUID) -> list[RunRecord]:
    """The runs of a job in their order. Raises `NotFound` (reason `job_not_found`)."""
    await get_job(connection, user_id, job_id)
    statement = select(runs).where(runs.c.job_id == job_id).order_by(runs.c.number)
    return [run_from_row(row) for row in await connection.execute(statement)]


async def unpaid_changes(connection: AsyncConnection, user_id: UUID, job_id: UUID) -> dict[str, int] | None:
    """
    By language: the milliseconds that edits have changed since the job was completed last, which are the price of its
    next run. None where it has never been completed, so that its whole length is the price. Raises `NotFound`.
    """
    job = (await get_job(connection, user_id, job_id)).job
    completed = (runs.c.job_id == job_id) & (runs.c.status == JobStatus.COMPLETED)
    last = (await connection.execute(select(func.max(runs.c.number)).where(completed))).scalar_one()
    if last is None:
        return None
    unpaid = await _edits(connection, job_id, edits.c.run.is_(None) | (edits.c.run > last))
    return changed_ms(unpaid, await list_segments(connection, user_id, job_id), job.target_languages)


async def start_run(
    connection: AsyncConnection,
    user_id: UUID,
    job_id: UUID,
    kind: RunKind,
    *,
    reservation_id: str | None = None,
    quoted_credits: int | None = None,
) -> None:
    """
    Makes a job that has ended pending again under a new run, with its message, in the caller's transaction. The run
    applies the edits that wait; checkpoints stay, so only steps whose inputs have changed are executed.

    `EDIT` is for a completed job with edits, and takes a reservation, of `quoted_credits`. `RESUME` is for a failed or
    cancelled one; without a reservation it goes on under that of the run before, which is settled already.
    Raises `NotFound` (reason `job_not_found`), `Conflict` (reasons `invalid_transition`, `nothing_edited`).
    """
    row = await lock_job(connection, user_id, job_id)
    check_new_run(JobStatus(row.status), kind)
    waiting = await _edits(connection, job_id, edits.c.run.is_(None))
    if kind is RunKind.EDIT and not (waiting and reservation_id):
        raise Conflict("No line of this job has been edited since its last run.", reason="nothing_edited")
    job = (await get_job(connection, user_id, job_id)).job
    number = job.resumes + 2
    quoted = job.quoted_credits if quoted_credits is None else quoted_credits
    await connection.execute(
        insert(runs).values(
            job_id=job_id,
            number=number,
            kind=kind,
            reservation_id=reservation_id or job.reservation,
            quoted_credits=quoted,
            changed_ms=await unpaid_changes(connection, user_id, job_id),
            status=JobStatus.PENDING,
        )
    )
    await connection.execute(update(edits).where(edits.c.job_id == job_id, edits.c.run.is_(None)).values(run=number))
    if reservation_id:
        # Nothing is paid under the new reservation: the checkpoints that stand for a payment are the old one's.
        paid = (steps.c.job_id == job_id) & steps.c.step_key.in_(PAYMENT_STEPS)
        await connection.execute(delete(steps).where(paid))
    values = {"quoted_credits": quoted, "reservation_id": reservation_id or job.reservation_id}
    await _reopen(connection, job, changed_languages(waiting, job.target_languages), values)
    what = Event(JOB_RESUMED) if kind is RunKind.RESUME else Event(JOB_REGENERATED, {"run": number})
    await record_events(connection, job_id, [what])
    await enqueue_job(connection, row)


async def resume_job(
    connection: AsyncConnection, user_id: UUID, job_id: UUID, *, reservation_id: str | None = None
) -> None:
    """Starts a run of a failed or cancelled job, which goes on after its last good step; see `start_run`."""
    await start_run(connection, user_id, job_id, RunKind.RESUME, reservation_id=reservation_id)


async def _reopen(
    connection: AsyncConnection, job: JobRecord, changed: Collection[str], run: Mapping[str, Any]
) -> None:
    """The row of the job holds the state of its present run, and some of the run's values, for the claim."""
    values: dict[str, Any] = {**dict.fromkeys(_CLEARED), **run, **({"progress": 0} if changed else {})}
    deadline = func.now() + (jobs.c.deadline_at - jobs.c.created_at)
    await connection.execute(
        update(jobs)
        .where(jobs.c.id == job.id)
        .values(status=JobStatus.PENDING, attempts=0, resumes=jobs.c.resumes + 1, deadline_at=deadline, **values)
    )
    reopened = dict.fromkeys(("stage", "error", "started_at", "completed_at"))
    of_job = update(language_tasks).where(language_tasks.c.job_id == job.id)
    await connection.execute(
        of_job.where(
            (language_tasks.c.status != LanguageStatus.COMPLETED) | language_tasks.c.language.in_(changed)
        ).values(status=LanguageStatus.PENDING, **reopened)
    )
    await connection.execute(of_job.where(language_tasks.c.language.in_(changed)).values(progress=0))


async def _lock_editable(connection: AsyncConnection, user_id: UUID, job_id: UUID) -> AnyRow:
    row = await lock_job(connection, user_id, job_id)
    check_editable(JobStatus(row.status))
    return row


async def _edits(connection: AsyncConnection, job_id: UUID, *conditions: ColumnElement[bool]) -> list[Edit]:
    statement = select(edits).where(edits.c.job_id == job_id, *conditions)
    statement = statement.order_by(edits.c.run.nulls_last(), edits.c.created_at, edits.c.id)
    return [edit_from_row(row) for row in await connection.execute(statement)]


async def _store(connection: AsyncConnection, job_id: UUID, planned: Iterable[Edit]) -> list[Edit]:
    stored = list(planned)
    for edit in stored:
        line = {"language": edit.language, "index": edit.index, "chunk": edit.chunk, "position": edit.position}
        change = {"value": edit.value, "revision": edit.revision}
        statement = insert(edits).values(id=uuid7(), job_id=job_id, field=edit.field, **line, **change)
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=["job_id", "run", "language", "index", "field"],
                set_={**change, "created_at": func.now()},
            )
        )
    return stored
