"""Runs of a job: edits wait for the next one, and each is charged under a reservation of its own (ADR 011)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy import delete, insert, literal_column, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from onevoice_jobs.control import begin_run, enqueue_job, lock_job
from onevoice_jobs.events import JOB_REGENERATED, record_events
from onevoice_jobs.models import artifacts, edits, language_tasks, past_artifacts, runs, steps
from onevoice_jobs.queries import get_job, list_segments, list_translations
from onevoice_jobs.records import Edit, Event, JobRecord, LanguageRecord, RunRecord, Segment, Translation
from onevoice_jobs.rows import edit_from_row, run_from_row
from onevoice_jobs.states import JobStatus, LanguageStatus, RunReason, check_new_run
from onevoice_kit.db import uuid7
from onevoice_kit.errors import Conflict, NotFound


async def edit_translation(
    connection: AsyncConnection, user_id: UUID, job_id: UUID, language: str, index: int, text: str
) -> Edit:
    """
    Gives a line of a completed job a new text, which waits for the next run; an edit of the same line that waits is
    replaced. In the caller's transaction. Raises `NotFound` (reasons `job_not_found`, `line_not_found`), `Conflict`
    (reason `invalid_transition`) for a job that is not completed.
    """
    row = await lock_job(connection, user_id, job_id)
    check_new_run(JobStatus(row.status), RunReason.EDIT)
    job = (await get_job(connection, user_id, job_id)).job
    segments = await list_segments(connection, user_id, job_id)
    edit = plan_edit(job, segments, await list_translations(connection, user_id, job_id, language), index, text)
    statement = postgresql.insert(edits).values(
        id=uuid7(),
        job_id=job_id,
        revision=edit.revision,
        language=edit.language,
        index=edit.index,
        line=edit.line,
        text=edit.text,
    )
    same_line = ["job_id", "revision", "language", "index"]
    await connection.execute(statement.on_conflict_do_update(index_elements=same_line, set_={"text": text}))
    return edit


async def list_edits(connection: AsyncConnection, user_id: UUID, job_id: UUID) -> list[Edit]:
    """Every edit of a job in the order of the revisions, those that wait for a run last. Raises `NotFound`."""
    await get_job(connection, user_id, job_id)
    return await _edits(connection, job_id)


async def list_runs(connection: AsyncConnection, user_id: UUID, job_id: UUID) -> list[RunRecord]:
    """The runs of a job in their order. Raises `NotFound` (reason `job_not_found`)."""
    await get_job(connection, user_id, job_id)
    statement = select(runs).where(runs.c.job_id == job_id).order_by(runs.c.number)
    return [run_from_row(row) for row in await connection.execute(statement)]


async def unpaid_changes(connection: AsyncConnection, user_id: UUID, job_id: UUID) -> dict[str, int]:
    """
    By language: milliseconds of edited lines that no run has been paid for, the price of the next run. Raises
    `NotFound` (reason `job_not_found`), `Conflict` (reasons `invalid_transition`, `nothing_edited`).
    """
    view = await get_job(connection, user_id, job_id)
    check_new_run(view.job.status, RunReason.EDIT)
    unpaid = unpaid_edits(view.languages, await _edits(connection, job_id, paid=False), view.job.revision)
    changed = changed_ms(unpaid, await list_segments(connection, user_id, job_id))
    if not any(edit.revision > view.job.revision for edit in unpaid):
        raise Conflict("No line of this job has been edited since its last run.", reason="nothing_edited")
    return changed


async def start_edit_run(
    connection: AsyncConnection,
    user_id: UUID,
    job_id: UUID,
    *,
    reservation_id: str,
    quoted_credits: int,
    changed_ms: Mapping[str, int],
) -> None:
    """
    Makes a completed job pending again under a new revision, in the caller's transaction. The run applies the edits
    that wait; checkpoints stay, so only steps whose inputs have changed are executed. The results of the present
    revision are kept beside those of the next.

    The caller has reserved `quoted_credits` for `changed_ms`, as `unpaid_changes` gave them. Raises what that raises,
    and `Conflict` (reason `edited_meanwhile`) where they have changed since.
    """
    row = await lock_job(connection, user_id, job_id)
    if await unpaid_changes(connection, user_id, job_id) != dict(changed_ms):
        raise Conflict("Lines of this job have been edited meanwhile.", reason="edited_meanwhile")
    view = await get_job(connection, user_id, job_id)
    await _mark_paid(connection, view.job, view.languages)
    await _keep_results(connection, view.job)
    # Nothing is paid under the new reservation: checkpoints that stand for a payment are of the run before.
    await connection.execute(delete(steps).where(steps.c.job_id == job_id, steps.c.payment))
    run = {"revision": view.job.revision + 1, "reservation_id": reservation_id, "quoted_credits": quoted_credits}
    await connection.execute(
        insert(runs).values(
            job_id=job_id,
            number=view.job.resumes + 2,
            reason=RunReason.EDIT,
            requested_by=user_id,
            changed_ms=dict(changed_ms),
            status=JobStatus.PENDING,
            **run,
        )
    )
    await begin_run(connection, job_id, language_tasks.c.language.in_(changed_ms), {"progress": 0.0, **run})
    what = {"revision": view.job.revision + 1, "languages": sorted(changed_ms)}
    await record_events(connection, job_id, [Event(JOB_REGENERATED, what)])
    await enqueue_job(connection, row)


def plan_edit(
    job: JobRecord, segments: Sequence[Segment], translations: Sequence[Translation], index: int, text: str
) -> Edit:
    """An edit of one line of `translations`, for the next revision. Raises `NotFound` (reason `line_not_found`)."""
    language = next((line.language for line in translations if line.index == index), None)
    segment = next((segment for segment in segments if segment.index == index), None)
    if language is None or segment is None:
        raise NotFound("There is no such line.", reason="line_not_found")
    position = sum(1 for other in segments if other.chunk == segment.chunk and other.index < index)
    return Edit(job.revision + 1, language, index, f"{segment.chunk}.{position}", text)


def unpaid_edits(languages: Iterable[LanguageRecord], unpaid: Iterable[Edit], revision: int) -> list[Edit]:
    """Of the edits not marked as paid: those that wait, and those of a language that its last run did not complete."""
    completed = {task.language for task in languages if task.status is LanguageStatus.COMPLETED}
    return [edit for edit in unpaid if edit.revision > revision or edit.language not in completed]


def changed_ms(edits: Iterable[Edit], segments: Iterable[Segment]) -> dict[str, int]:
    """By language: the length of its edited lines in the source, each counted once."""
    lengths = {segment.index: max(1, segment.end_ms - segment.start_ms) for segment in segments}
    changed = {(edit.language, edit.index) for edit in edits}
    by_language: dict[str, int] = {}
    for language, index in sorted(changed):
        by_language[language] = by_language.get(language, 0) + lengths[index]
    return by_language


async def _edits(connection: AsyncConnection, job_id: UUID, *, paid: bool | None = None) -> list[Edit]:
    statement = select(edits).where(edits.c.job_id == job_id)
    if paid is not None:
        statement = statement.where(edits.c.paid == paid)
    rows = await connection.execute(statement.order_by(edits.c.revision, edits.c.language, edits.c.index))
    return [edit_from_row(row) for row in rows]


async def _mark_paid(connection: AsyncConnection, job: JobRecord, languages: Iterable[LanguageRecord]) -> None:
    """A job that is completed has been settled at the price of the languages that it completed."""
    completed = [task.language for task in languages if task.status is LanguageStatus.COMPLETED]
    applied = (edits.c.job_id == job.id) & (edits.c.revision <= job.revision)
    await connection.execute(update(edits).where(applied, edits.c.language.in_(completed)).values(paid=True))


async def _keep_results(connection: AsyncConnection, job: JobRecord) -> None:
    kept = [artifacts.c.kind, artifacts.c.language, artifacts.c.filename, artifacts.c.object, artifacts.c.created_at]
    present = select(artifacts.c.job_id, literal_column(str(int(job.revision))), *kept).where(
        artifacts.c.job_id == job.id
    )
    names = ["job_id", "revision", *(column.name for column in kept)]
    await connection.execute(insert(past_artifacts).from_select(names, present))
