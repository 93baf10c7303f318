"""What the holder of a lease writes: checkpoints, lines, artifacts, progress, the end. Every write is fenced."""

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
    NOTHING,
    Artifact,
    Edit,
    Event,
    JobError,
    Json,
    RunRecord,
    Segment,
    Shown,
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
from onevoice_jobs.states import JobStatus, StepStatus
from onevoice_kit.db import transaction, uuid7


class JobStore:
    """
    The job of one lease. Every method raises `LeaseLost` when the lease is no longer the present one, and then has
    changed nothing: the worker must stop all work of the job. Every write is one statement, so one round trip.
    """

    def __init__(self, engine: AsyncEngine, lease: Lease) -> None:
        self._transactions = engine
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self.lease = lease
        self._shown: dict[str | None, tuple[str, int]] = {}

    # Steps

    async def finish_step(self, key: str, input_hash: str, output: Json, shown: Shown = NOTHING) -> None:
        """Stores a step's result."""
        await self.finish_steps([StepResult(key, input_hash, output, shown)])

    async def finish_steps(self, results: Sequence[StepResult], *, again: bool = False) -> None:
        """
        Stores several steps' results, with what users see of them, all or none, and tells watchers.

        `again`: an earlier call with the same results may have taken effect, or be about to; it is then waited for.
        What is stored already is replaced by the same, and its events are not told twice.
        """
        told = [_event(item, event) for item in results for event in _events(item.shown)]
        parameters = {"steps": dumps([_step(item) for item in results])}
        statement = statements.FINISH_STEPS
        if lines := _results(results):
            statement, parameters = statements.FINISH_STEPS_WITH_RESULTS, parameters | lines
        if told:
            parameters["events"] = dumps(told)
        await self._execute(statement.announcing if told else statement.quiet, parameters, alone=again)

    async def completed_steps(self) -> dict[str, StepRecord]:
        """The checkpoints by key. A step whose input hash has changed since must be done again."""
        statement = select(steps).where(steps.c.job_id == self.lease.job_id, steps.c.status == StepStatus.COMPLETED)
        return {record.key: record for record in map(step_from_row, await self._read(statement))}

    # Lines

    async def segments(self) -> list[Segment]:
        """The segments saved so far, in order."""
        statement = select(segments).where(segments.c.job_id == self.lease.job_id).order_by(segments.c.index)
        return [segment_from_row(row) for row in await self._read(statement)]

    async def translations(self, language: str) -> list[Translation]:
        """The translations of a language saved so far, in order."""
        statement = (
            select(translations)
            .where(translations.c.job_id == self.lease.job_id, translations.c.language == language)
            .order_by(translations.c.index)
        )
        return [translation_from_row(row) for row in await self._read(statement)]

    # Runs

    async def run(self) -> RunRecord:
        """The present run of the job."""
        statement = select(runs).where(runs.c.job_id == self.lease.job_id).order_by(runs.c.number.desc()).limit(1)
        return run_from_row((await self._read(statement))[0])

    async def edits(self) -> list[Edit]:
        """The edits that the present run applies, those of earlier runs first: a later one of a field overrides."""
        statement = select(edits).where(edits.c.job_id == self.lease.job_id, edits.c.run.is_not(None))
        statement = statement.order_by(edits.c.run, edits.c.created_at, edits.c.id)
        return [edit_from_row(row) for row in await self._read(statement)]

    # Results

    async def forget_results(self) -> None:
        """Drops checkpoints, lines and artifacts: their objects are deleted, or the source is to blame."""
        await self._write(statements.FORGET_RESULTS)

    # Progress

    async def set_progress(self, stage: str, percent: float, *, language: str | None = None) -> bool:
        """
        Shows the stage and the progress (0–100) of a language, or of the whole job, and tells watchers.

        Progress never goes back. Nothing is written while stage and whole percent are what they were;
        returns whether something was.
        """
        percent = min(100.0, max(0.0, percent))
        shown = (stage, int(percent))
        if self._shown.get(language) == shown:
            return False
        data = {"stage": stage, "percent": int(percent)} | ({"language": language} if language else {})
        told = [Event(event_types.JOB_PROGRESS, data)]
        if language is None:
            await self._tell(statements.SET_JOB_PROGRESS, told, stage=stage, percent=percent)
        else:
            await self._write(statements.SET_LANGUAGE_PROGRESS, told, stage=stage, percent=percent, language=language)
        self._shown[language] = shown
        return True

    async def language_failed(self, language: str, error: JobError) -> None:
        """Ends a language in failure; the others go on."""
        told = [Event(event_types.LANGUAGE_FAILED, {"language": language, **asdict(error)})]
        await self._write(statements.FAIL_LANGUAGE, told, language=language, error=dumps(asdict(error)))

    async def record(self, *items: Event) -> None:
        """Tells watchers."""
        await self._tell(statements.ANNOUNCE, items)

    async def event(self, type_: str, data: Json) -> None:
        """Tells watchers one thing."""
        await self.record(Event(type_, data))

    async def cancel_requested(self) -> bool:
        """Whether the user has asked to cancel. `renew` says the same."""
        statement = select(jobs.c.cancel_requested_at).where(
            jobs.c.id == self.lease.job_id, jobs.c.lease_epoch == self.lease.epoch
        )
        rows = await self._read(statement)
        if not rows:
            raise LeaseLost(self.lease.job_id)
        return rows[0].cancel_requested_at is not None

    # The end. Afterwards the lease is over: any later write raises `LeaseLost`.

    async def job_completed(self, *, spent_credits: int, metrics: Json) -> None:
        """Ends the job well, after its credits are settled."""
        told = [Event(event_types.JOB_COMPLETED, {"spent_credits": spent_credits})]
        parameters = {"spent_credits": spent_credits, "metrics": dumps(dict(metrics))}
        await self._tell(statements.COMPLETE_JOB, told, status=JobStatus.COMPLETED.value, **parameters)

    async def job_failed(self, error: JobError, *, spent_credits: int = 0) -> None:
        """Ends the job and its open languages in failure, after its credits are released."""
        told = [Event(event_types.JOB_FAILED, asdict(error))]
        parameters = {"error": dumps(asdict(error)), "spent_credits": spent_credits}
        await self._tell(statements.END_JOB, told, status=JobStatus.FAILED.value, **parameters)

    async def job_cancelled(self) -> None:
        """Ends the job and its open languages as cancelled, after its credits are released."""
        told = [Event(event_types.JOB_CANCELLED)]
        parameters = {"error": None, "spent_credits": 0}
        await self._tell(statements.END_JOB, told, status=JobStatus.CANCELLED.value, **parameters)

    # How

    async def _write(self, statement: statements.Fenced, events: Sequence[Event] = (), **parameters: object) -> Any:
        if not events:
            return await self._execute(statement.quiet, parameters)
        return await self._execute(statement.announcing, parameters | {"events": events_to_json(events)})

    async def _tell(self, statement: TextClause, events: Sequence[Event], **parameters: object) -> None:
        await self._execute(statement, parameters | {"events": events_to_json(events)})

    async def _execute(self, statement: TextClause, parameters: Mapping[str, object], *, alone: bool = False) -> Any:
        """`alone`: only once nothing else is being written to the job, so that the statement sees all of that."""
        fence = {"job_id": self.lease.job_id, "epoch": self.lease.epoch}
        async with transaction(self._transactions if alone else self._engine) as connection:
            if alone:
                await connection.execute(statements.LOCK, fence)
            row = (await connection.execute(statement, {**parameters, **fence})).one_or_none()
        if row is None:
            raise LeaseLost(self.lease.job_id)
        return row.result

    async def _read(self, statement: Select[Any]) -> Sequence[AnyRow]:
        async with transaction(self._engine) as connection:
            rows: Sequence[AnyRow] = (await connection.execute(statement)).all()
        return rows


def _step(item: StepResult) -> dict[str, object]:
    return {"key": item.key, "input_hash": item.input_hash, "attempt": item.attempts, "output": dict(item.output)}


def _event(item: StepResult, event: Event) -> dict[str, object]:
    return {"step": item.key, "input_hash": item.input_hash, "type": event.type, "data": dict(event.data)}


def _events(shown: Shown) -> list[Event]:
    ends = [Event(event_types.LANGUAGE_COMPLETED, {"language": end.language}) for end in shown.completed]
    return [*shown.events, *ends]


def _results(results: Sequence[StepResult]) -> dict[str, str]:
    """The parameters of what the steps have for users besides events; empty where there is nothing."""
    shown = [item.shown for item in results]
    rows = {
        "segments": [asdict(line) for item in shown for line in item.segments],
        "translations": [asdict(line) for item in shown for line in item.translations],
        "artifacts": [_artifact(made) for item in shown for made in item.artifacts],
        "completed": [asdict(end) for item in shown for end in item.completed],
    }
    return {name: dumps(items) for name, items in rows.items()} if any(rows.values()) else {}


def _artifact(item: Artifact) -> dict[str, object]:
    return {
        "id": str(uuid7()),
        "kind": item.kind,
        "language": item.language,
        "filename": item.filename,
        "object": ref_to_json(item.ref),
    }
