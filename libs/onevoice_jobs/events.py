"""The events of a job for its watchers: their types, and the statement that records and announces them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from onevoice_jobs.records import Event
from onevoice_jobs.rows import events_to_json

CHANNEL: Final = "job_events"
"""Every commit of new events notifies this channel with the id of the job."""

JOB_CREATED: Final = "job.created"
JOB_STARTED: Final = "job.started"
JOB_PROGRESS: Final = "job.progress"
"""`{stage, percent, language?}`"""
JOB_CANCEL_REQUESTED: Final = "job.cancel_requested"
JOB_RESUMED: Final = "job.resumed"
JOB_REGENERATED: Final = "job.regenerated"
"""`{revision, languages}`: the edited lines of a completed job are regenerated."""
JOB_WAITING: Final = "job.waiting"
"""`{stage, reason}`; sent when a wait begins."""
JOB_COMPLETED: Final = "job.completed"
JOB_FAILED: Final = "job.failed"
"""`{reason, message}`"""
JOB_CANCELLED: Final = "job.cancelled"
SOURCE_LANGUAGE: Final = "source.language"
"""`{source_language}`; sent where the user named none."""
SEGMENT_RECOGNISED: Final = "segment.recognised"
"""`{index, text, start_ms, end_ms}`"""
TERMS_FOUND: Final = "terms.found"
"""
`{language, summary, terms, engine, problem}`: the terminology of the whole transcript, where translation waits for it.
"""
VOICES_RECAST: Final = "voices.recast"
"""`{language, from, to, reason, voices}`: the speakers of engine `from`, which stopped working, have new `voices`."""
LINE_READY: Final = "line.ready"
"""`{language, start_ms, text}`; again where the line's speaker was recast."""
LANGUAGE_COMPLETED: Final = "language.completed"
"""`{language}`"""
LANGUAGE_FAILED: Final = "language.failed"
"""`{language, reason, message}`"""
STEP_RETRIED: Final = "step.retried"
"""`{step, attempt, reason, delay_s}`"""

TERMINAL: Final = frozenset({JOB_COMPLETED, JOB_FAILED, JOB_CANCELLED})
"""The last event of a job is one of these (a job with a new run goes on after it)."""

# The row of the job is locked before its events are numbered, so their order is the order of commit.
_RECORD = text("""
    WITH owner AS (
        UPDATE jobs.jobs SET last_event = last_event + jsonb_array_length(CAST(:events AS jsonb)), updated_at = now()
        WHERE id = :job_id
        RETURNING id, last_event - jsonb_array_length(CAST(:events AS jsonb)) AS base
    ), recorded AS (
        INSERT INTO jobs.job_events (job_id, id, type, data)
        SELECT owner.id, owner.base + event.number, event.value ->> 'type', event.value -> 'data'
        FROM owner, jsonb_array_elements(CAST(:events AS jsonb)) WITH ORDINALITY AS event (value, number)
    )
    SELECT pg_notify('job_events', CAST(id AS text)) FROM owner
""")


async def record_events(connection: AsyncConnection, job_id: UUID, events: Sequence[Event]) -> None:
    """Records events in the caller's transaction; watchers receive them when it commits. Not fenced."""
    await connection.execute(_RECORD, {"job_id": job_id, "events": events_to_json(events)})
