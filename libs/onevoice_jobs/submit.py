"""Submitting a job: everything that makes it exist, in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from onevoice_jobs.events import JOB_CREATED, record_events
from onevoice_jobs.messages import DubbingJobMessage
from onevoice_jobs.models import jobs, language_tasks, outbox
from onevoice_jobs.options import JobOptions
from onevoice_jobs.records import Event
from onevoice_jobs.rows import ref_to_json
from onevoice_kit.queue.outbox import enqueue
from onevoice_kit.storage.base import ObjectRef

PRIORITIES = {"low": -10, "normal": 0, "high": 10}
"""Priorities by the name users give them."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to submit."""

    user_id: UUID
    video_id: UUID
    source: ObjectRef
    filename: str
    """As the user named it; results are named after it."""
    target_languages: tuple[str, ...]
    """BCP-47, at least one, no doubles."""
    duration_ms: int
    quoted_credits: int
    """Credits reserved for the job; it never costs more."""
    source_language: str | None = None
    options: JobOptions = field(default_factory=JobOptions)
    priority: int = PRIORITIES["normal"]
    batch_id: UUID | None = None
    traceparent: str = ""
    notify_email: str | None = None
    """Address for the notice of the end; None: no notice."""
    deadline_s: float = 24 * 3600.0
    """From submission; a job that has not ended by then is failed."""


_INSERT = insert(jobs).returning(jobs.c.enqueued_at)


async def insert_job(connection: AsyncConnection, job: NewJob, job_id: UUID) -> None:
    """Inserts the job, its language tasks, its first event and its queue message."""
    now = datetime.now(UTC)
    sent_at = (await connection.execute(_INSERT, _row(job, job_id, now))).scalar_one()
    tasks = [{"job_id": job_id, "language": language} for language in job.target_languages]
    await connection.execute(insert(language_tasks), tasks)
    await record_events(connection, job_id, [Event(JOB_CREATED, {"languages": list(job.target_languages)})])
    message = DubbingJobMessage(job_id, job.user_id, job.video_id, sent_at)
    await enqueue(connection, outbox, message.to_message(traceparent=job.traceparent), priority=job.priority)


def _row(job: NewJob, job_id: UUID, now: datetime) -> dict[str, object]:
    return {
        "id": job_id,
        "user_id": job.user_id,
        "video_id": job.video_id,
        "batch_id": job.batch_id,
        "priority": job.priority,
        "source": ref_to_json(job.source),
        "filename": job.filename,
        "source_language": job.source_language,
        "target_languages": list(job.target_languages),
        # Without what is not chosen: a worker of the last release refuses an option that it lacks.
        "options": job.options.model_dump(mode="json", exclude_defaults=True),
        "duration_ms": job.duration_ms,
        "quoted_credits": job.quoted_credits,
        "traceparent": job.traceparent,
        "notify_email": job.notify_email,
        "deadline_at": now + timedelta(seconds=job.deadline_s),
    }
