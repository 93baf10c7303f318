"""The store of a lease holder on PostgreSQL. Every write is fenced, and one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Select, TextClause, select
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs import events as event_types
from onevoice_jobs import statements
from onevoice_jobs.leases import Lease, LeaseLost
from onevoice_jobs.models import edits, jobs, runs, segments, steps, translations
from onevoice_jobs.records import (
    Artifact,
    Edit,
    Event,
    JobError,
    Json,
    RunRecord,
    Segment,
    StepRecord,
    StepResult,
    Translation,
)
from onevoice_jobs.rows import (
    AnyRow,
    dumps,
    edit_from_row,
    events_to_json,
    ref_to_json,
    run_from_row,
    segment_from_row,
    step_from_row,
    translation_from_row,
)
from onevoice_jobs.states import JobStatus
from onevoice_jobs.store import PublishedProgress, bounded, events_of, progress_event
from onevoice_kit.db import transaction, uuid7


class PostgresJobStore:
    """The port `JobStore` on the tables of schema `jobs`. Every write is one statement, so one round trip."""

    def __init__(self, engine: AsyncEngine, lease: Lease) -> None:
        self._transactions = engine
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._lease = lease
        self._progress = PublishedProgress()

    @property
    def lease(self) -> Lease:
        """See `JobStore`."""
        return self._lease

    async def finish_steps(self, results: Sequence[StepResult], *, again: bool = False) -> None:
        """See `JobStore`."""
        events = [_event(item, event) for item in results for event in events_of(item.published)]
        parameters = {"steps": dumps([_step(item) for item in results])}
        if events:
            parameters["events"] = dumps(events)
        rows, statement = _results(results), statements.FINISH_STEPS
        if any(rows.values()):
            statement = statements.FINISH_STEPS_WITH_RESULTS
            parameters |= {name: dumps(items) for name, items in rows.items()}
        write = statement.announcing if events else statement.quiet
        if languages := [item.published.source_language for item in results if item.published.source_language]:
            write = statements.FINISH_STEPS_WITH_LANGUAGE
            parameters |= {name: dumps(items) for name, items in rows.items()} | {"source_language": languages[-1]}
        await self._execute(write, parameters, alone=again)

    async def completed_steps(self) -> dict[str, StepRecord]:
        """See `JobStore`."""
        statement = select(steps).where(steps.c.job_id == self._lease.job_id)
        return {record.key: record for record in map(step_from_row, await self._read(statement))}

    async def segments(self) -> list[Segment]:
        """See `JobStore`."""
        statement = select(segments).where(segments.c.job_id == self._lease.job_id).order_by(segments.c.index)
        return [segment_from_row(row) for row in await self._read(statement)]

    async def translations(self, language: str) -> list[Translation]:
        """See `JobStore`."""
        statement = (
            select(translations)
            .where(translations.c.job_id == self._lease.job_id, translations.c.language == language)
            .order_by(translations.c.index)
        )
        return [translation_from_row(row) for row in await self._read(statement)]

    async def run(self) -> RunRecord:
        """See `JobStore`."""
        statement = select(runs).where(runs.c.job_id == self._lease.job_id).order_by(runs.c.number.desc()).limit(1)
        return run_from_row((await self._read(statement))[0])

    async def edits(self) -> list[Edit]:
        """See `JobStore`."""
        applied = (edits.c.job_id == self._lease.job_id) & (edits.c.revision <= jobs.c.revision)
        statement = select(edits).join(jobs, jobs.c.id == edits.c.job_id).where(applied)
        return [edit_from_row(row) for row in await self._read(statement.order_by(edits.c.revision, edits.c.index))]

    async def forget_results(self) -> None:
        """See `JobStore`."""
        await self._write(statements.FORGET_RESULTS)

    async def set_progress(self, stage: str, percent: float, *, language: str | None = None) -> bool:
        """See `JobStore`."""
        percent = bounded(percent)
        if not self._progress.is_new(stage, percent, language):
            return False
        events = [progress_event(stage, percent, language)]
        if language is None:
            await self._publish(statements.SET_JOB_PROGRESS, events, stage=stage, percent=percent)
        else:
            await self._write(statements.SET_LANGUAGE_PROGRESS, events, stage=stage, percent=percent, language=language)
        self._progress.wrote(stage, percent, language)
        return True

    async def language_failed(self, language: str, error: JobError) -> None:
        """See `JobStore`."""
        events = [Event(event_types.LANGUAGE_FAILED, {"language": language, **asdict(error)})]
        await self._write(statements.FAIL_LANGUAGE, events, language=language, error=dumps(asdict(error)))

    async def record(self, *items: Event) -> None:
        """See `JobStore`."""
        await self._publish(statements.ANNOUNCE, items)

    async def cancel_requested(self) -> bool:
        """See `JobStore`."""
        return bool(await self._execute(statements.CANCEL_REQUESTED, {}))

    async def job_completed(self, *, spent_credits: int, metrics: Json) -> None:
        """See `JobStore`."""
        events = [Event(event_types.JOB_COMPLETED, {"spent_credits": spent_credits})]
        parameters = {"spent_credits": spent_credits, "metrics": dumps(dict(metrics))}
        await self._publish(statements.COMPLETE_JOB, events, status=JobStatus.COMPLETED.value, **parameters)

    async def job_failed(self, error: JobError, *, spent_credits: int = 0) -> None:
        """See `JobStore`."""
        events = [Event(event_types.JOB_FAILED, asdict(error))]
        parameters = {"error": dumps(asdict(error)), "spent_credits": spent_credits}
        await self._publish(statements.END_JOB, events, status=JobStatus.FAILED.value, **parameters)

    async def job_cancelled(self) -> None:
        """See `JobStore`."""
        events = [Event(event_types.JOB_CANCELLED)]
        parameters = {"error": None, "spent_credits": 0}
        await self._publish(statements.END_JOB, events, status=JobStatus.CANCELLED.value, **parameters)

    async def _write(self, statement: statements.Fenced, events: Sequence[Event] = (), **parameters: object) -> Any:
        if not events:
            return await self._execute(statement.quiet, parameters)
        return await self._execute(statement.announcing, parameters | {"events": events_to_json(events)})

    async def _publish(self, statement: TextClause, events: Sequence[Event], **parameters: object) -> None:
        await self._execute(statement, parameters | {"events": events_to_json(events)})

    async def _execute(self, statement: TextClause, parameters: Mapping[str, object], *, alone: bool = False) -> Any:
        """`alone`: only once nothing else is being written to the job, so that the statement sees all of that."""
        fence = {"job_id": self._lease.job_id, "epoch": self._lease.epoch}
        async with transaction(self._transactions if alone else self._engine) as connection:
            if alone:
                await connection.execute(statements.LOCK, fence)
            row = (await connection.execute(statement, {**parameters, **fence})).one_or_none()
        if row is None:
            raise LeaseLost(self._lease.job_id)
        return row.result

    async def _read(self, statement: Select[Any]) -> Sequence[AnyRow]:
        async with transaction(self._engine) as connection:
            rows: Sequence[AnyRow] = (await connection.execute(statement)).all()
        return rows


def _step(item: StepResult) -> dict[str, object]:
    return {
        "key": item.key,
        "input_hash": item.input_hash,
        "attempt": item.attempts,
        "output": dict(item.output),
        "payment": item.published.payment,
    }


def _event(item: StepResult, event: Event) -> dict[str, object]:
    return {"step": item.key, "input_hash": item.input_hash, "type": event.type, "data": dict(event.data)}


def _results(results: Sequence[StepResult]) -> dict[str, list[dict[str, Any]]]:
    """The rows that the steps have for users besides events, by parameter."""
    published = [item.published for item in results]
    return {
        "segments": [asdict(line) for item in published for line in item.segments],
        "translations": [asdict(line) for item in published for line in item.translations],
        "artifacts": [_artifact(made) for item in published for made in item.artifacts],
        "completed": [asdict(end) for item in published for end in item.completed],
    }


def _artifact(item: Artifact) -> dict[str, object]:
    return {
        "id": str(uuid7()),
        "kind": item.kind,
        "language": item.language,
        "filename": item.filename,
        "object": ref_to_json(item.ref),
    }
