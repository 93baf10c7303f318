"""The job's checkpoints, for the executor."""

from __future__ import annotations

from collections.abc import Mapping

from onevoice_jobs.events import STEP_RETRIED
from onevoice_jobs.records import Event
from onevoice_kit.errors import OneVoiceError

from .pipeline.executor import Checkpoint
from .pipeline.graph import Json, Step
from .steps.context import JobContext
from .steps.ending import language_failed


class JobJournal:
    """Stores results through the job's lease; raises `LeaseLost` when that is over."""

    def __init__(self, ctx: JobContext) -> None:
        self._ctx = ctx

    async def completed(self) -> Mapping[str, Checkpoint]:
        """What earlier runs stored."""
        records = await self._ctx.store.completed_steps()
        return {
            key: Checkpoint(record.input_hash, record.output["value"])
            for key, record in records.items()
            if record.output is not None
        }

    async def save(self, step: Step, checkpoint: Checkpoint) -> None:
        """Stores a result and, in the same statement, its events."""
        events = step.announce(checkpoint.output) if step.announce else ()
        await self._ctx.store.finish_step(step.key, checkpoint.input_hash, {"value": checkpoint.output}, events=events)

    async def retrying(self, step: Step, error: OneVoiceError, attempt: int, delay_s: float) -> None:
        """Tells watchers that a step is tried again."""
        data = {"step": step.key, "attempt": attempt, "reason": error.reason, "delay_s": round(delay_s, 2)}
        await self._ctx.store.record(Event(STEP_RETRIED, data))

    async def scope_failed(self, scope: str, error: OneVoiceError) -> Json:
        """Fails a language."""
        return await language_failed(self._ctx, scope, error)
