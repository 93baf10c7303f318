"""The port `JobStore` in memory: each write changes a job's rows as the statement on PostgreSQL does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from onevoice_jobs import events as event_types
from onevoice_jobs.leases import Lease, LeaseLost
from onevoice_jobs.records import (
    NOTHING,
    Artifact,
    CompletedLanguage,
    Edit,
    Event,
    JobError,
    Json,
    Published,
    RunRecord,
    Segment,
    StepRecord,
    StepResult,
    Translation,
)
from onevoice_jobs.states import JobStatus, LanguageStatus, sources
from onevoice_jobs.store import JobStore, PublishedProgress, bounded, events_of, progress_event
from onevoice_jobs.testing.state import MemoryJob

Write = Callable[[MemoryJob, datetime], None]


class Rows(Protocol):
    """The jobs of which a store writes one."""

    jobs: dict[UUID, MemoryJob]

    def held(self, lease: Lease) -> MemoryJob:
        """The job of a lease that is the present one; `LeaseLost` where it is not."""
        ...

    def now(self) -> datetime:
        """The time by the clock of the database."""
        ...


class MemoryJobStore:
    """The job of one lease in memory."""

    def __init__(self, rows: Rows, lease: Lease) -> None:
        self._rows = rows
        self._lease = lease
        self._progress = PublishedProgress()

    @property
    def lease(self) -> Lease:
        """See `JobStore`."""
        return self._lease

    async def finish_steps(self, results: Sequence[StepResult], *, again: bool = False) -> None:
        """See `JobStore`. `again` changes nothing: no write here is ever in progress."""
        del again
        await self._write("finish_steps", lambda job, now: _finish_steps(job, results, now))

    async def completed_steps(self) -> dict[str, StepRecord]:
        """See `JobStore`."""
        return dict(self._job.steps)

    async def segments(self) -> list[Segment]:
        """See `JobStore`."""
        return [segment for _, segment in sorted(self._job.segments.items())]

    async def translations(self, language: str) -> list[Translation]:
        """See `JobStore`."""
        lines = sorted(self._job.translations.items())
        return [line for _, line in lines if line.language == language]

    async def run(self) -> RunRecord:
        """See `JobStore`."""
        return self._job.runs[-1]

    async def edits(self) -> list[Edit]:
        """See `JobStore`."""
        applied = sorted(self._job.edits.values(), key=lambda edit: (edit.revision, edit.index))
        return [edit for edit in applied if edit.revision <= self._job.record.revision]

    async def forget_results(self) -> None:
        """See `JobStore`."""

        def write(job: MemoryJob, _: datetime) -> None:
            for table in (job.steps, job.segments, job.translations, job.artifacts):
                table.clear()

        await self._write("forget_results", write)

    async def set_progress(self, stage: str, percent: float, *, language: str | None = None) -> bool:
        """See `JobStore`."""
        percent = bounded(percent)
        if not self._progress.is_new(stage, percent, language):
            return False
        if language is None:
            await self._write("job_progress", lambda job, now: _job_progress(job, stage, percent, now))
        else:
            await self._write(
                "language_progress", lambda job, now: _language_progress(job, language, stage, percent, now)
            )
        self._progress.wrote(stage, percent, language)
        return True

    async def language_failed(self, language: str, error: JobError) -> None:
        """See `JobStore`."""
        event = Event(event_types.LANGUAGE_FAILED, {"language": language, **asdict(error)})

        def write(job: MemoryJob, now: datetime) -> None:
            if language in job.open_languages():
                _end_language(job, language, now, status=LanguageStatus.FAILED, error=error)
                job.record_events([event], now)

        await self._write("fail_language", write)

    async def record(self, *items: Event) -> None:
        """See `JobStore`."""
        await self._write("announce", lambda job, now: job.record_events(items, now))

    async def cancel_requested(self) -> bool:
        """See `JobStore`."""
        return self._rows.held(self._lease).record.cancel_requested_at is not None

    async def job_completed(self, *, spent_credits: int, metrics: Json) -> None:
        """See `JobStore`."""
        event = Event(event_types.JOB_COMPLETED, {"spent_credits": spent_credits})
        values = {"progress": 100.0, "metrics": _stored(dict(metrics))}
        await self._end("complete_job", JobStatus.COMPLETED, spent_credits, event, values)

    async def job_failed(self, error: JobError, *, spent_credits: int = 0) -> None:
        """See `JobStore`."""
        event = Event(event_types.JOB_FAILED, asdict(error))
        await self._end("end_job", JobStatus.FAILED, spent_credits, event, {"error": error})

    async def job_cancelled(self) -> None:
        """See `JobStore`."""
        await self._end("end_job", JobStatus.CANCELLED, 0, Event(event_types.JOB_CANCELLED), {"error": None})

    @property
    def _job(self) -> MemoryJob:
        """For reads, which no lease fences."""
        return self._rows.jobs[self._lease.job_id]

    async def _end(self, name: str, status: JobStatus, spent: int, event: Event, values: Mapping[str, Any]) -> None:
        def write(job: MemoryJob, now: datetime) -> None:
            if job.record.status not in sources(status):
                raise LeaseLost(job.record.id)
            if not 0 <= spent <= job.record.quoted_credits:
                raise IntegrityError("jobs_spent_credits_check", None, ValueError(spent))
            job.lease(None, None)
            job.change(status=status, completed_at=now, estimated_completion=None, spent_credits=spent, **values)
            if status is not JobStatus.COMPLETED:
                ended = {"status": LanguageStatus(status.value), "error": values["error"], "completed_at": now}
                for language in job.open_languages():
                    job.change_language(language, **ended)
            job.notify_people()
            job.record_events([event], now)

        await self._write(name, write)

    async def _write(self, _name: str, write: Write) -> None:
        """Every write comes through here under its name; it changes the job at once or not at all."""
        write(self._rows.held(self._lease), self._rows.now())


async def finish_step(store: JobStore, key: str, input_hash: str, output: Json, published: Published = NOTHING) -> None:
    """Stores the result of one step."""
    await store.finish_steps([StepResult(key, input_hash, output, published)])


def completed(language: str, metrics: Mapping[str, Any] | None = None) -> Published:
    """The part of a step's result that completes a language."""
    return Published(completed=(CompletedLanguage(language, metrics or {}),))


def _stored(value: Any) -> Any:
    """A value as it comes back from a JSON column."""
    return json.loads(json.dumps(value))


def _finish_steps(job: MemoryJob, results: Sequence[StepResult], now: datetime) -> None:
    events = [event for item in results if not _is_stored(job, item) for event in events_of(item.published)]
    for item in results:
        output = _stored(dict(item.output))
        job.steps[item.key] = StepRecord(item.key, item.input_hash, item.attempts, output, item.published.payment)
    for published in (item.published for item in results):
        if published.source_language:
            job.change(source_language=published.source_language)
        job.segments |= {line.index: line for line in published.segments}
        for translated in published.translations:
            place = translated.language, translated.index
            before = job.translations.get(place)
            revision = before.revision + (_speech(before) != _speech(translated)) if before else 1
            job.translations[place] = replace(translated, revision=revision)
        for made in published.artifacts:
            key = made.kind, made.language
            old = job.artifacts.get(key)
            created_at = old.created_at if old else now
            job.artifacts[key] = Artifact(made.kind, made.language, made.filename, made.ref, created_at)
        for end in published.completed:
            done = {"status": LanguageStatus.COMPLETED, "error": None, "progress": 100.0}
            _end_language(job, end.language, now, metrics=_stored(dict(end.metrics)), **done)
    job.record_events(events, now)


def _speech(line: Translation) -> tuple[str, str | None]:
    return line.text, line.audio.uri if line.audio else None


def _is_stored(job: MemoryJob, item: StepResult) -> bool:
    """True if the step's events have been recorded before: it is stored with the same input."""
    stored = job.steps.get(item.key)
    return stored is not None and stored.input_hash == item.input_hash


def _job_progress(job: MemoryJob, stage: str, percent: float, now: datetime) -> None:
    started, progress = job.record.started_at, max(job.record.progress, percent)
    estimated = now + (now - started) * ((100 - percent) / percent) if percent >= 1 and started else None
    job.change(stage=stage, progress=progress, estimated_completion=estimated)
    job.record_events([progress_event(stage, progress, None)], now)


def _language_progress(job: MemoryJob, language: str, stage: str, percent: float, now: datetime) -> None:
    if language in job.open_languages():
        old = job.languages[language]
        progress, started_at = max(old.progress, percent), old.started_at or now
        values = {"stage": stage, "progress": progress, "started_at": started_at}
        job.change_language(language, status=LanguageStatus.PROCESSING, **values)
        job.record_events([progress_event(stage, progress, language)], now)


def _end_language(job: MemoryJob, language: str, now: datetime, **values: Any) -> None:
    if language in job.open_languages():
        started_at = job.languages[language].started_at or now
        job.change_language(language, started_at=started_at, completed_at=now, **values)
