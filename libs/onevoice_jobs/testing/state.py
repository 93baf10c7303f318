"""A job in memory: its row and every row that belongs to it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from onevoice_jobs.records import (
    Artifact,
    Edit,
    Event,
    EventRecord,
    JobRecord,
    LanguageRecord,
    RunRecord,
    Segment,
    StepRecord,
    Translation,
)
from onevoice_jobs.states import JobStatus, LanguageStatus, RunReason
from onevoice_jobs.submit import NewJob

CLEARED: Mapping[str, Any] = dict.fromkeys(
    (
        "error",
        "stage",
        "spent_credits",
        "cancel_requested_at",
        "started_at",
        "completed_at",
        "estimated_completion",
        "waiting_since",
    )
)
"""The fields of a job that a new run clears."""


@dataclass
class MemoryJob:
    """The rows of one job."""

    record: JobRecord
    enqueued_at: datetime
    lease_owner: str | None = None
    lease_until: datetime | None = None
    languages: dict[str, LanguageRecord] = field(default_factory=dict)
    steps: dict[str, StepRecord] = field(default_factory=dict)
    segments: dict[int, Segment] = field(default_factory=dict)
    translations: dict[tuple[str, int], Translation] = field(default_factory=dict)
    artifacts: dict[tuple[str, str | None], Artifact] = field(default_factory=dict)
    events: list[EventRecord] = field(default_factory=list)
    notifications: dict[str, tuple[str, str, Mapping[str, Any]]] = field(default_factory=dict)
    """Notices of the end by key: kind, recipient, data."""
    runs: list[RunRecord] = field(default_factory=list)
    edits: dict[tuple[int, str, int], Edit] = field(default_factory=dict)
    """By revision, language and index."""
    paid_edits: set[tuple[int, str, int]] = field(default_factory=set)
    past_artifacts: dict[tuple[int, str, str | None], Artifact] = field(default_factory=dict)
    """By revision, kind and language."""

    def change(self, **values: Any) -> None:
        """Updates the job's own row, and that of its present run."""
        self.record = replace(self.record, **values)
        state = ("status", "error", "spent_credits", "started_at", "completed_at")
        if self.runs:
            self.runs[-1] = replace(self.runs[-1], **{name: getattr(self.record, name) for name in state})

    def begin_run(self, reason: RunReason, now: datetime, changed_ms: Mapping[str, int] | None) -> None:
        """Adds the row of the run that the job's row begins."""
        job = self.record
        self.runs.append(
            RunRecord(
                job_id=job.id,
                number=job.resumes + 1,
                revision=job.revision,
                reason=reason,
                requested_by=job.user_id,
                reservation_id=job.reservation,
                quoted_credits=job.quoted_credits,
                spent_credits=None,
                changed_ms=changed_ms,
                status=job.status,
                error=None,
                created_at=now,
                started_at=None,
                completed_at=None,
            )
        )

    def change_language(self, language: str, **values: Any) -> None:
        """Updates a language's row."""
        self.languages[language] = replace(self.languages[language], **values)

    def open_languages(self) -> list[str]:
        """The languages that have not ended."""
        return [name for name, task in self.languages.items() if not task.status.terminal]

    def held_s(self, now: datetime) -> float:
        """The rest of the lease; not above 0 where no worker holds the job."""
        return (self.lease_until - now).total_seconds() if self.lease_until else 0.0

    def may_be_paid(self) -> bool:
        """See `queries.may_be_paid`."""
        return any(step.payment for step in self.steps.values())

    def lease(self, owner: str | None, until: datetime | None) -> int:
        """Gives the job to a new holder, or takes it from any; the old one is fenced off. Returns the new epoch."""
        self.lease_owner, self.lease_until = owner, until
        self.change(lease_epoch=self.record.lease_epoch + 1)
        return self.record.lease_epoch

    def record_events(self, events: Iterable[Event], now: datetime) -> None:
        """Numbers and records events."""
        for event in events:
            data = json.loads(json.dumps(dict(event.data)))
            self.events.append(EventRecord(len(self.events) + 1, self.record.id, event.type, data, now))

    def notify_people(self) -> None:
        """Writes the notices of the job's end, once for each outcome of each run."""
        record, status = self.record, self.record.status.value
        data = {
            "event": f"job_{status}",
            "job_id": str(record.id),
            "user_id": str(record.user_id),
            "filename": record.filename,
            "languages": list(record.target_languages),
            "error": asdict(record.error) if record.error else None,
        }
        sent = {"mail": status in ("completed", "failed") and record.notify_email, "alert": status == "failed"}
        for kind in (kind for kind, wanted in sent.items() if wanted):
            key = ":".join([kind, str(record.id), status, *([str(record.resumes)] if record.resumes else [])])
            self.notifications.setdefault(key, (kind, (record.notify_email or "") if kind == "mail" else "", data))


def new_job(job: NewJob, job_id: UUID, now: datetime) -> MemoryJob:
    """A pending job, as `submit.insert_job` inserts it."""
    record = JobRecord(
        id=job_id,
        user_id=job.user_id,
        video_id=job.video_id,
        batch_id=job.batch_id,
        status=JobStatus.PENDING,
        stage=None,
        progress=0.0,
        priority=job.priority,
        source=job.source,
        filename=job.filename,
        source_language=job.source_language,
        target_languages=job.target_languages,
        options=job.options,
        duration_ms=job.duration_ms,
        quoted_credits=job.quoted_credits,
        spent_credits=None,
        attempts=0,
        lease_epoch=0,
        cancel_requested_at=None,
        error=None,
        metrics={},
        traceparent=job.traceparent,
        created_at=now,
        started_at=None,
        completed_at=None,
        deadline_at=now + timedelta(seconds=job.deadline_s),
        estimated_completion=None,
        notify_email=job.notify_email,
    )
    made = MemoryJob(record, now, languages={name: _new_language(job_id, name) for name in job.target_languages})
    made.begin_run(RunReason.SUBMIT, now, None)
    return made


def _new_language(job_id: UUID, language: str) -> LanguageRecord:
    metrics: Mapping[str, Any] = {}
    return LanguageRecord(job_id, language, LanguageStatus.PENDING, None, 0.0, None, metrics, None, None)
