"""The job's checkpoints, for the executor."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from onevoice_jobs.events import STEP_RETRIED
from onevoice_jobs.records import Event, JobError, Published, StepResult
from onevoice_kit.errors import OneVoiceError

from .pipeline.checkpoints import FAILED, Checkpoint
from .pipeline.dubbing import scope_end
from .steps.context import JobContext
from .steps.ending import failed_language, language_failed
from .steps.graph import Json, Step

_log = logging.getLogger(__name__)

STORED_WITHIN_S = 0.2
"""
Time in which a result is stored, with all others of that time in one statement. A worker that dies meanwhile has lost
as much as one that dies so long before the end of the step.
"""
_AGAIN_S = 2.0
"""Time until a write that has failed is repeated, unless the next result comes before."""
_LAST_WRITE_S = 5.0
"""Longest wait for the last write of a run; a lease that is lost because the database is away must not hold it up."""


class JobJournal:
    """
    Stores results through the job's lease; raises `LeaseLost` when that is over. A context manager: however the run
    ends, its results are stored at the end of the block.
    """

    def __init__(self, ctx: JobContext, *, new: bool = False) -> None:
        """`new`: this is the job's first run, so nothing is stored."""
        self._ctx = ctx
        self._new = new
        self._waiting: dict[str, StepResult] = {}
        self._writing = asyncio.Lock()
        self._later: asyncio.Task[None] | None = None
        self._unsure = False
        """True if a failed write may have taken effect all the same."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with contextlib.suppress(OneVoiceError, TimeoutError):  # the steps are then done again
                async with asyncio.timeout(_LAST_WRITE_S):
                    await self._write_waiting()
        finally:
            if self._later:
                self._later.cancel()

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
        """
        Stores a result soon and, in the same statement, what users see of it and what else waits to be stored.

        A result without which the job's payment would not be known is stored before this returns, and so is the next
        one after a write that failed: its step meets the error.
        """
        output = {"value": checkpoint.output}
        result = StepResult(step.key, checkpoint.input_hash, output, published, checkpoint.attempts)
        if published.payment or self._unsure:
            await self._write(result)
        else:
            self._waiting[step.key] = result
            if (published.events or not step.pure) and (self._later is None or self._later.done()):
                self._later = asyncio.create_task(self._write_later())

    async def amend(self, step: Step, checkpoint: Checkpoint) -> None:
        """Stores another output of a step that has one, before this returns."""
        await self._write(StepResult(step.key, checkpoint.input_hash, {"value": checkpoint.output}))

    async def _write_later(self) -> None:
        pause_s = STORED_WITHIN_S
        while self._waiting:
            await asyncio.sleep(pause_s)
            pause_s = STORED_WITHIN_S
            try:
                await self._write_waiting()
            except OneVoiceError as error:
                _log.warning("Results of steps could not be stored yet: %s", error)
                if not error.retryable:
                    return  # the next result meets the error too
                pause_s = _AGAIN_S

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
            self._forget(result)

    def _forget(self, result: StepResult) -> None:
        """Waits for its write no more; another result of its step does."""
        if self._waiting.get(result.key) is result:
            del self._waiting[result.key]

    async def _write_waiting(self) -> None:
        async with self._writing:
            if self._waiting:
                await self._write_all(list(self._waiting.values()))

    async def _write_all(self, results: list[StepResult]) -> None:
        try:
            await self._ctx.store.finish_steps(results, again=self._unsure)
        except BaseException:
            self._unsure = True
            raise
        self._unsure = False
        for written in results:
            self._forget(written)

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
