"""The reads of users on their jobs; another user's job is not found."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Text, bindparam, cast, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from onevoice_jobs.models import (
    artifacts,
    job_events,
    jobs,
    language_tasks,
    past_artifacts,
    segments,
    steps,
    translations,
)
from onevoice_jobs.records import Artifact, EventRecord, JobRecord, LanguageRecord, Page, Segment, Translation
from onevoice_jobs.rows import (
    JOB_COLUMNS,
    LANGUAGE_COLUMNS,
    artifact_from_row,
    event_from_row,
    job_from_row,
    language_from_row,
    segment_from_row,
    translation_from_row,
)
from onevoice_jobs.states import JobStatus
from onevoice_kit.errors import InvalidInput, NotFound

MAX_PAGE = 200
_OPEN = (JobStatus.PENDING, JobStatus.PROCESSING)


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with its languages, in the order of the request."""

    job: JobRecord
    languages: tuple[LanguageRecord, ...]


_JOB_OF = select(*JOB_COLUMNS).where(jobs.c.id == bindparam("job"), jobs.c.user_id == bindparam("user"))
_LANGUAGES = select(*LANGUAGE_COLUMNS).where(language_tasks.c.job_id.in_(bindparam("jobs", expanding=True)))


async def get_job(connection: AsyncConnection, user_id: UUID, job_id: UUID) -> JobView:
    """A job of the user; `NotFound` (reason `job_not_found`)."""
    row = (await connection.execute(_JOB_OF, {"job": job_id, "user": user_id})).one_or_none()
    if row is None:
        raise job_not_found()
    return (await _with_languages(connection, [job_from_row(row)]))[0]


async def list_jobs(
    connection: AsyncConnection,
    user_id: UUID,
    *,
    status: JobStatus | None = None,
    batch_id: UUID | None = None,
    video_id: UUID | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[JobView]:
    """The user's jobs, newest first. `limit` is capped at 200; `InvalidInput` (reason `invalid_cursor`)."""
    limit = max(1, min(limit, MAX_PAGE))
    statement = select(*JOB_COLUMNS).where(jobs.c.user_id == user_id)
    for column, wanted in ((jobs.c.status, status), (jobs.c.batch_id, batch_id), (jobs.c.video_id, video_id)):
        if wanted is not None:
            statement = statement.where(column == wanted)
    if cursor:
        statement = statement.where(tuple_(jobs.c.created_at, jobs.c.id) < tuple_(*decode_cursor(cursor)))
    statement = statement.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit + 1)
    found = [job_from_row(row) for row in await connection.execute(statement)]
    items = found[:limit]
    more = encode_cursor(items[-1].created_at, items[-1].id) if len(found) > limit else None
    return Page(tuple(await _with_languages(connection, items)), more)


async def events_after(
    connection: AsyncConnection, user_id: UUID, job_id: UUID, last_id: int = 0, *, limit: int = 500
) -> list[EventRecord]:
    """The job's events after number `last_id`, in order, at most `limit`; none for a job that is not the user's."""
    statement = _of(job_events, user_id, job_id).where(job_events.c.id > last_id).order_by(job_events.c.id).limit(limit)
    return [event_from_row(row) for row in await connection.execute(statement)]


async def list_artifacts(
    connection: AsyncConnection,
    user_id: UUID,
    job_id: UUID,
    *,
    language: str | None = None,
    kind: str | None = None,
    revision: int | None = None,
) -> list[Artifact]:
    """
    The job's results so far, of one language or kind where given. `revision`: those of an earlier revision, as they
    were when the next one began; none for a revision that the job does not have. `NotFound` (reason `job_not_found`).
    """
    present = (await get_job(connection, user_id, job_id)).job.revision
    table = artifacts if revision in (None, present) else past_artifacts
    statement = select(table).where(table.c.job_id == job_id)
    if table is past_artifacts:
        statement = statement.where(past_artifacts.c.revision == revision)
    if language is not None:
        statement = statement.where(table.c.language == language)
    if kind is not None:
        statement = statement.where(table.c.kind == kind)
    statement = statement.order_by(table.c.language.nulls_first(), table.c.kind)
    return [artifact_from_row(row) for row in await connection.execute(statement)]


async def list_segments(connection: AsyncConnection, user_id: UUID, job_id: UUID) -> list[Segment]:
    """The lines of the source recognised so far, in order; `NotFound` (reason `job_not_found`)."""
    await _check(connection, user_id, job_id)
    statement = select(segments).where(segments.c.job_id == job_id).order_by(segments.c.index)
    return [segment_from_row(row) for row in await connection.execute(statement)]


async def list_translations(
    connection: AsyncConnection, user_id: UUID, job_id: UUID, language: str
) -> list[Translation]:
    """The lines of a language so far, in order; `NotFound` (reason `job_not_found`)."""
    await _check(connection, user_id, job_id)
    statement = (
        select(translations)
        .where(translations.c.job_id == job_id, translations.c.language == language)
        .order_by(translations.c.index)
    )
    return [translation_from_row(row) for row in await connection.execute(statement)]


async def has_open_jobs(connection: AsyncConnection, video_id: UUID) -> bool:
    """True if a job still needs the video."""
    statement = select(jobs.c.id).where(jobs.c.video_id == video_id, jobs.c.status.in_(_OPEN)).limit(1)
    return (await connection.execute(statement)).one_or_none() is not None


async def latest_thumbnail(connection: AsyncConnection, user_id: UUID, video_id: UUID) -> str | None:
    """URI of the picture that the newest job took of the video."""
    statement = (
        select(artifacts.c.object["uri"].astext)
        .join(jobs, jobs.c.id == artifacts.c.job_id)
        .where(jobs.c.user_id == user_id, jobs.c.video_id == video_id, artifacts.c.kind == "thumbnail")
        .order_by(artifacts.c.created_at.desc())
        .limit(1)
    )
    return (await connection.execute(statement)).scalar_one_or_none()


def open_jobs_by_user() -> Select[str, int]:
    """`group_id` and `held`: how many jobs each user has open, by the group of their messages; for the relay."""
    user = cast(jobs.c.user_id, Text).label("group_id")
    return select(user, func.count().label("held")).where(jobs.c.status.in_(_OPEN)).group_by(jobs.c.user_id)


async def reservations_in_use(connection: AsyncConnection, reservations: Collection[str]) -> set[str]:
    """Those of the reservations under which a job runs or will run."""
    used = func.coalesce(jobs.c.reservation_id, cast(jobs.c.id, Text))
    statement = select(used).where(jobs.c.status.in_(_OPEN), used.in_(reservations))
    return set((await connection.execute(statement)).scalars())


async def may_be_paid(connection: AsyncConnection, job_id: UUID) -> bool:
    """
    Returns True where the credits of a job in work may be settled already. Only billing has the certain answer: a
    worker may have died before it could store that they are.
    """
    near = (steps.c.job_id == job_id) & steps.c.payment
    return bool((await connection.execute(select(select(steps).where(near).exists()))).scalar_one())


def job_not_found() -> NotFound:
    """The error for a job that does not exist or belongs to another user."""
    return NotFound("There is no such job.", reason="job_not_found")


async def _check(connection: AsyncConnection, user_id: UUID, job_id: UUID) -> None:
    statement = select(jobs.c.id).where(jobs.c.id == job_id, jobs.c.user_id == user_id)
    if (await connection.execute(statement)).one_or_none() is None:
        raise job_not_found()


def _of(table: Any, user_id: UUID, job_id: UUID) -> Select[Any]:
    return select(table).join(jobs, jobs.c.id == table.c.job_id).where(jobs.c.id == job_id, jobs.c.user_id == user_id)


async def _with_languages(connection: AsyncConnection, found: list[JobRecord]) -> list[JobView]:
    rows = await connection.execute(_LANGUAGES, {"jobs": [job.id for job in found]})
    records = [language_from_row(row) for row in rows]
    by_key = {(record.job_id, record.language): record for record in records}
    return [JobView(job, tuple(by_key[job.id, language] for language in job.target_languages)) for job in found]


def encode_cursor(created_at: datetime, id_: UUID) -> str:
    """A cursor that stands after this row."""
    return base64.urlsafe_b64encode(f"{created_at.isoformat()} {id_}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, UUID]:
    """The row a cursor stands after; `InvalidInput` (reason `invalid_cursor`) for what is not a cursor."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        created_at, id_ = raw.decode().split(" ")
        moment = datetime.fromisoformat(created_at)
        if moment.tzinfo is None:
            raise ValueError("a time without its zone")
        return moment, UUID(id_)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("The cursor is not valid.", reason="invalid_cursor") from error
