"""The job's checkpoints, for the executor."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from onevoice_jobs.events import STEP_RETRIED
from onevoice_jobs.records import Event, JobError, Published, StepResult
from onevoice_kit.errors import OneVoiceError

from .pipeline.dubbing import scope_end
from .pipeline.executor import FAILED, Checkpoint
from .steps.context import JobContext
from .steps.ending import failed_language, language_failed
from .steps.graph import Json, Step


class JobJournal:
    """Stores results through the job's lease; raises `LeaseLost` when that is over."""

    def __init__(self, ctx: JobContext, *, new: bool = False) -> None:
        """`new`: this is the job's first run, so nothing is stored."""
        self._ctx = ctx
        self._new = new
        self._waiting: dict[str, StepResult] = {}
        self._writing = asyncio.Lock()
        self._unsure = False
        """True if a failed write may have taken effect all the same."""

    async def completed(self) -> Mapping[str, Checkpoint]:
        """The results of earlier runs. A language that had failed, and could not be ended any more, is ended now."""
        records = {} if self._new else await self._ctx.store.completed_steps()
        stored = {
            key: Checkpoint(self._hash(key, record.input_hash), record.output["value"])
            for key, record in records.items()
        }
        for checkpoint in stored.values():
            if checkpoint.input_hash == FAILED:
                await language_failed(self._ctx, checkpoint.output)
        return stored

    async def save(self, step: Step, checkpoint: Checkpoint, published: Published) -> None:
        """Stores a result and, in the same statement, what users see of it and what else waits to be stored."""
        output = {"value": checkpoint.output}
        result = StepResult(step.key, checkpoint.input_hash, output, published, checkpoint.attempts)
        if step.pure and not published.events:
            self._waiting[step.key] = result
        else:
            await self._write(result)

    async def _write(self, result: StepResult) -> None:
        """
        Of those who come while another write is under way, the first writes for all (group commit). Where that fails,
        the next of them tries.
        """
        self._waiting[result.key] = result
        try:
            async with self._writing:
                if result.key in self._waiting:
                    await self._write_all(list(self._waiting.values()))
        finally:
            self._waiting.pop(result.key, None)

    async def _write_all(self, results: list[StepResult]) -> None:
        again, self._unsure = self._unsure, True
        await self._ctx.store.finish_steps(results, again=again)
        self._unsure = False
        for written in results:
            self._waiting.pop(written.key, None)  # who waited for it may have gone

    async def retrying(self, step: Step, error: OneVoiceError, attempt: int, delay_s: float) -> None:
        """Publishes that a step is retried."""
        data = {"step": step.key, "attempt": attempt, "reason": error.reason, "delay_s": round(delay_s, 2)}
        await self._ctx.store.record(Event(STEP_RETRIED, data))

    async def scope_failed(self, scope: str, error: OneVoiceError) -> Json:
        """Fails a language. First the checkpoint: `completed` makes up for the rest."""
        output = failed_language(scope, JobError(error.reason, error.message))
        await self._write(StepResult(scope_end(scope), self._failed, {"value": output}))
        await language_failed(self._ctx, output)
        return output

    @property
    def _failed(self) -> str:
        """A job that its user resumes tries its failed languages again."""
        return f"{FAILED}:{self._ctx.job.resumes}"

    def _hash(self, key: str, stored: str) -> str:
        failed = stored == self._failed
        if stored.startswith(f"{FAILED}:") and self._ctx.edits.changed_ms is not None:
            # A run of edits makes their languages again; one that had failed before stays so, for it is not paid for.
            failed = failed or key not in map(scope_end, self._ctx.edits.changed_ms)
        return FAILED if failed else stored
