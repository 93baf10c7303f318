"""What the holder of a lease writes: checkpoints, lines, artifacts, progress, the end. Every write is fenced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Select, TextClause, select
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs import events as event_types
from onevoice_jobs import statements
from onevoice_jobs.leases import Lease, LeaseLost
from onevoice_jobs.models import jobs, segments, steps, translations
from onevoice_jobs.records import Artifact, Event, JobError, Json, Segment, StepRecord, Translation
from onevoice_jobs.rows import (
    AnyRow,
    dumps,
    events_to_json,
    ref_to_json,
    segment_from_row,
    step_from_row,
    translation_from_row,
)
from onevoice_jobs.states import JobStatus, LanguageStatus, StepStatus
from onevoice_kit.db import transaction, uuid7


@dataclass(frozen=True, slots=True)
class StepResult:
    """A step that is done."""

    key: str
    input_hash: str
    output: Json


class JobStore:
    """
    The job of one lease. Every method raises `LeaseLost` when the lease is no longer the present one, and then has
    changed nothing: the worker must stop all work of the job. Every write is one statement, so one round trip.
    """

    def __init__(self, engine: AsyncEngine, lease: Lease) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self.lease = lease
        self._shown: dict[str | None, tuple[str, int]] = {}

    # Steps

    async def start_step(self, key: str, input_hash: str) -> int:
        """Notes that a step runs; returns which attempt this is, from 1, counting those of earlier workers."""
        return (await self.start_steps([(key, input_hash)]))[key]

    async def start_steps(self, keys: Sequence[tuple[str, str]]) -> Mapping[str, int]:
        """Notes that several steps run, given as (key, input hash); returns the attempt of each."""
        rows = [{"key": key, "input_hash": input_hash} for key, input_hash in keys]
        return dict(await self._write(statements.START_STEPS, rows=dumps(rows)) or {})

    async def finish_step(self, key: str, input_hash: str, output: Json, *, events: Sequence[Event] = ()) -> None:
        """Stores a step's result, and events in the same statement. `start_step` need not have been called."""
        await self.finish_steps([StepResult(key, input_hash, output)], events=events)

    async def finish_steps(self, results: Sequence[StepResult], *, events: Sequence[Event] = ()) -> None:
        """Stores several steps' results at once: all or none."""
        rows = [{"key": item.key, "input_hash": item.input_hash, "output": dict(item.output)} for item in results]
        await self._write(statements.FINISH_STEPS, events, rows=dumps(rows))

    async def fail_step(self, key: str, input_hash: str, error: JobError, *, events: Sequence[Event] = ()) -> None:
        """Notes that a step has failed."""
        await self._write(statements.FAIL_STEP, events, key=key, input_hash=input_hash, error=dumps(asdict(error)))

    async def completed_steps(self) -> dict[str, StepRecord]:
        """The checkpoints by key. A step whose input hash has changed since must be done again."""
        statement = select(steps).where(steps.c.job_id == self.lease.job_id, steps.c.status == StepStatus.COMPLETED)
        return {record.key: record for record in map(step_from_row, await self._read(statement))}

    # Lines

    async def save_segments(self, items: Sequence[Segment], *, events: Sequence[Event] = ()) -> None:
        """Stores segments; one with the same index is replaced."""
        await self._write(statements.SAVE_SEGMENTS, events, rows=dumps([asdict(item) for item in items]))

    async def save_translations(self, items: Sequence[Translation], *, events: Sequence[Event] = ()) -> None:
        """Stores translations; one with the same language and index is replaced."""
        await self._write(statements.SAVE_TRANSLATIONS, events, rows=dumps([asdict(item) for item in items]))

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

    # Results

    async def save_artifact(self, artifact: Artifact, *, events: Sequence[Event] = ()) -> None:
        """Stores a result; one of the same kind and language is replaced."""
        await self.save_artifacts([artifact], events=events)

    async def save_artifacts(self, items: Sequence[Artifact], *, events: Sequence[Event] = ()) -> None:
        """Stores several results at once."""
        await self._write(statements.SAVE_ARTIFACTS, events, rows=dumps([_artifact(item) for item in items]))

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

    async def language_completed(self, language: str, metrics: Json) -> None:
        """Ends a language well."""
        told = [Event(event_types.LANGUAGE_COMPLETED, {"language": language})]
        await self._end_language(language, LanguageStatus.COMPLETED, told, metrics=metrics)

    async def language_failed(self, language: str, error: JobError) -> None:
        """Ends a language in failure; the others go on."""
        told = [Event(event_types.LANGUAGE_FAILED, {"language": language, **asdict(error)})]
        await self._end_language(language, LanguageStatus.FAILED, told, error=error)

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

    async def job_cancelled(self, *, spent_credits: int = 0) -> None:
        """Ends the job and its open languages as cancelled, after its credits are released."""
        told = [Event(event_types.JOB_CANCELLED)]
        parameters = {"error": None, "spent_credits": spent_credits}
        await self._tell(statements.END_JOB, told, status=JobStatus.CANCELLED.value, **parameters)

    # How

    async def _end_language(
        self,
        language: str,
        status: LanguageStatus,
        told: Sequence[Event],
        *,
        metrics: Json | None = None,
        error: JobError | None = None,
    ) -> None:
        await self._write(
            statements.END_LANGUAGE,
            told,
            language=language,
            status=status.value,
            metrics=dumps(dict(metrics or {})),
            error=dumps(asdict(error)) if error else None,
        )

    async def _write(self, statement: statements.Fenced, events: Sequence[Event] = (), **parameters: object) -> Any:
        if not events:
            return await self._execute(statement.quiet, parameters)
        return await self._execute(statement.announcing, parameters | {"events": events_to_json(events)})

    async def _tell(self, statement: TextClause, events: Sequence[Event], **parameters: object) -> None:
        await self._execute(statement, parameters | {"events": events_to_json(events)})

    async def _execute(self, statement: TextClause, parameters: Mapping[str, object]) -> Any:
        fence = {"job_id": self.lease.job_id, "epoch": self.lease.epoch}
        async with transaction(self._engine) as connection:
            row = (await connection.execute(statement, {**parameters, **fence})).one_or_none()
        if row is None:
            raise LeaseLost(self.lease.job_id)
        return row.result

    async def _read(self, statement: Select[Any]) -> Sequence[AnyRow]:
        async with transaction(self._engine) as connection:
            rows: Sequence[AnyRow] = (await connection.execute(statement)).all()
        return rows


def _artifact(item: Artifact) -> dict[str, object]:
    return {
        "id": str(uuid7()),
        "kind": item.kind,
        "language": item.language,
        "filename": item.filename,
        "object": ref_to_json(item.ref),
    }
