"""Runs a graph of steps: whatever is ready, bounded per stage, each result stored no later than what depends on it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeVar

from onevoice_jobs.records import NOTHING
from onevoice_kit.errors import Busy, Internal, OneVoiceError, Unavailable
from onevoice_kit.retry import Retry

from ..steps.graph import Json, Result, Step, digest
from .attempts import STEP_RETRY, StepAttempts
from .checkpoints import FAILED, JOURNAL, Checkpoint, Journal

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Executor:
    """
    One run of a job's graph.

    A failure inside a scope stops that scope only. Its end step, `scope_end(scope)`, then completes with what
    `Journal.scope_failed` returns, so that steps waiting for the scope go on. A transient failure does not fail the
    scope: it is left where it is, the rest goes on, and the run ends with that error, for the job to be delivered
    again. Outside the scopes it ends the run, and nothing new begins. Either way the calls in flight are awaited and
    their results stored: they may be paid for, and the next run must not pay again. An unexpected exception in a scope
    is a defect that fails this scope alone.

    Where a failed step has a remedy, its scope begins anew once its calls in flight have ended: with the other output
    of the earlier step, and with every result that is still valid by its input hash.
    """

    def __init__(
        self,
        journal: Journal,
        limits: Mapping[str, int],
        *,
        scope_end: Callable[[str], str],
        retry: Retry = STEP_RETRY,
        rng: random.Random | None = None,
    ) -> None:
        self._journal = journal
        self._bounds = {stage: asyncio.Semaphore(limit) for stage, limit in limits.items()}
        self._scope_end = scope_end
        self._retry = replace(retry, rng=rng or random.Random())
        self._journal_retry = replace(self._retry, transient=_may_be_stored)
        self._stored: dict[str, Checkpoint] = {}
        self._outputs: dict[str, Json] = {}
        self._hashes: dict[str, str] = {}
        self._missing: dict[str, set[str]] = {}
        self._waiting: dict[str, Step] = {}
        self._dependents: defaultdict[str, list[str]] = defaultdict(list)
        self._tasks: dict[asyncio.Task[Json], StepAttempts] = {}
        self._stopped: set[str] = set()
        self._scopes: defaultdict[str, dict[str, Step]] = defaultdict(dict)
        """The steps of each scope by key, in the order in which they came."""
        self._amended: dict[str, dict[str, Json]] = {}
        """By scope that is about to begin anew: the other outputs of its steps, by key."""
        self._ending = False
        self._transient: OneVoiceError | None = None
        self.failed_stage = ""
        """Stage of the step whose error ended the run."""
        self.progressed = False
        """True if this run has stored the result of a step."""

    async def run(self, steps: Iterable[Step]) -> Mapping[str, Json]:
        """
        Runs the graph to its end and returns every output. Raises what the job's own steps raise after their
        retries, or the first transient error. Whatever it raises, cancellation included, no step goes on.
        """
        self._stored = dict(await self._journal.completed())
        try:
            self._add(steps)
            while self._tasks:
                done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                # In the order of their start: a set's order would differ from run to run.
                for task in [task for task in self._tasks if task in done]:
                    attempts = self._tasks.pop(task, None)
                    if attempts:  # else its scope was stopped by a task of the same round
                        await self._settle(attempts.step, task)
                await self._begin_anew()
        except JournalFailed as failed:
            self.failed_stage = JOURNAL
            raise failed.__cause__ or failed from None
        finally:
            await self._stop(list(self._tasks))
        if self._transient:
            raise self._transient
        if self._waiting:
            raise Internal(f"Steps wait for steps that do not exist: {sorted(self._waiting)[:5]}")
        return self._outputs

    def _add(self, steps: Iterable[Step]) -> None:
        # In the order given: the first chunk is recognised first.
        pending = deque(steps)
        while pending and not self._ending:
            step = pending.popleft()
            if step.key in self._missing or step.scope in self._stopped:
                continue
            if step.scope and (failed := self._failed_before(step.scope)):
                pending.extend(self._end_scope(step.scope, failed.output))
                continue
            self._scopes[step.scope][step.key] = step
            if step.scope in self._amended:
                continue
            self._missing[step.key] = {dep for dep in step.deps if dep not in self._outputs}
            self._waiting[step.key] = step
            for dep in self._missing[step.key]:
                self._dependents[dep].append(step.key)
            if not self._missing[step.key]:
                pending.extend(self._ready(step))

    def _ready(self, step: Step) -> list[Step]:
        """Starts the step, or takes its stored result and returns the steps that follow from it."""
        del self._waiting[step.key]
        stored = self._stored.get(step.key)
        if stored and stored.input_hash == self._input_hash(step):
            return self._complete(step, stored.output)
        attempts = StepAttempts(step, {dep: self._outputs[dep] for dep in step.deps}, self._bounds.get(step.stage))
        self._tasks[asyncio.create_task(self._make(attempts), name=step.key)] = attempts
        return []

    def _complete(self, step: Step, output: Json) -> list[Step]:
        self._set_output(step.key, output)
        following = list(step.then(output)) if step.then else []
        return following + self._released(step.key)

    def _set_output(self, key: str, output: Json) -> None:
        self._outputs[key] = output
        self._hashes[key] = digest(output)

    def _released(self, key: str) -> list[Step]:
        """The steps that waited for this key alone; they are taken out, to be added again as ready."""
        released = []
        for dependent in self._dependents.pop(key, []):
            missing = self._missing[dependent]
            missing.discard(key)
            if not missing and dependent in self._waiting:
                released.append(self._waiting.pop(dependent))
                del self._missing[dependent]
        return released

    def _input_hash(self, step: Step) -> str:
        return step.input_hash(self._outputs, self._hashes)

    async def _make(self, attempts: StepAttempts) -> Json:
        step = attempts.step

        async def on_retry(error: OneVoiceError, attempt: int, delay_s: float) -> None:
            await self._record(partial(self._journal.retrying, step, error, attempt, delay_s))

        made = await attempts.run(self._retry, on_retry)
        result = made if isinstance(made, Result) else Result(made, NOTHING)
        checkpoint = Checkpoint(self._input_hash(step), result.output, attempts.count)
        await self._record(partial(self._journal.save, step, checkpoint, result.published))
        self._stored[step.key] = checkpoint
        # A pure step may not be stored yet, and would count again after each wait.
        self.progressed = self.progressed or not step.pure
        return result.output

    async def _record(self, write: Callable[[], Awaitable[T]]) -> T:
        """Writes to the journal. A result survives a busy journal and a lost reply."""
        try:
            return await self._journal_retry.call(write)
        except Exception as error:
            raise JournalFailed from error

    async def _settle(self, step: Step, task: asyncio.Task[Json]) -> None:
        error = task.exception() if not task.cancelled() else None
        if isinstance(error, JournalFailed):
            raise error
        if task.cancelled() or step.scope in self._stopped:
            return
        if error is None:
            self._add(self._complete(step, task.result()))
        elif isinstance(error, OneVoiceError) and self._amend(step, error):
            self._drop(step.scope)
            await self._let_end(step.scope)
        elif isinstance(error, OneVoiceError) and error.retryable:
            if step.scope not in self._amended:  # else it is executed anew
                await self._leave(step, error)
        elif step.scope:
            await self._fail_scope(step.scope, _known(error, step))
        else:
            self.failed_stage = step.stage
            raise error

    async def _leave(self, step: Step, error: OneVoiceError) -> None:
        """After a transient failure nothing new begins where the step belongs."""
        if self._transient is None:
            self._transient, self.failed_stage = error, step.stage
        self._ending = self._ending or not step.scope
        self._stop_scope(step.scope)
        await self._let_end(step.scope)

    async def _let_end(self, scope: str) -> None:
        """Lets no attempt follow those in flight, and cancels the steps that lose nothing by it."""
        left = [(task, other) for task, other in self._tasks.items() if not scope or other.step.scope == scope]
        await self._stop([task for task, other in left if not other.finish()])

    def _amend(self, step: Step, error: OneVoiceError) -> bool:
        """True where the step has a remedy for its error; the scope then begins anew."""
        if not step.scope or step.remedy is None:
            return False
        amended = self._amended.get(step.scope, {})
        found = step.remedy({**self._outputs, **amended}, error)
        if found is None or found.output == self._outputs[found.key]:
            return False
        self._amended[step.scope] = {**amended, found.key: found.output}
        return True

    async def _begin_anew(self) -> None:
        """Begins the scopes anew that have a remedy and no call in flight."""
        busy = {attempts.step.scope for attempts in self._tasks.values()}
        for scope in [scope for scope in self._amended if scope not in busy and not self._ending]:
            amended, steps = self._amended.pop(scope), self._scopes.pop(scope)
            for key, output in amended.items():
                checkpoint = Checkpoint(self._input_hash(steps[key]), output)
                await self._record(partial(self._journal.amend, steps[key], checkpoint))
                self._stored[key] = checkpoint
            for key in steps:
                for known in (self._outputs, self._hashes, self._missing):
                    known.pop(key, None)
            for key, dependents in self._dependents.items():
                self._dependents[key] = [dependent for dependent in dependents if dependent not in steps]
            self._add(steps.values())

    async def _fail_scope(self, scope: str, error: OneVoiceError) -> None:
        self._stop_scope(scope)
        await self._stop([task for task, other in self._tasks.items() if other.step.scope == scope])
        output = await self._record(partial(self._journal.scope_failed, scope, error))
        self._add(self._end_scope(scope, output))

    def _drop(self, scope: str) -> None:
        """Takes the steps of the scope that have not begun out of the run."""
        for key in [key for key, step in self._waiting.items() if step.scope == scope]:
            del self._waiting[key]

    def _stop_scope(self, scope: str) -> None:
        self._drop(scope)
        self._amended.pop(scope, None)
        if scope:
            self._stopped.add(scope)

    def _failed_before(self, scope: str) -> Checkpoint | None:
        stored = self._stored.get(self._scope_end(scope))
        return stored if stored and stored.input_hash == FAILED else None

    def _end_scope(self, scope: str, output: Json) -> list[Step]:
        """The scope is over with this output; returns the steps that waited for it."""
        self._stopped.add(scope)
        end = self._scope_end(scope)
        self._set_output(end, output)
        return self._released(end)

    async def _stop(self, tasks: list[asyncio.Task[Json]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            self._tasks.pop(task, None)


def _may_be_stored(error: OneVoiceError) -> bool:
    return isinstance(error, Busy | Unavailable)


def _known(error: BaseException, step: Step) -> OneVoiceError:
    """The error itself where it is one of ours; else the log has the defect, and users get a general sentence."""
    if isinstance(error, OneVoiceError):
        return error
    _log.error("Step %s failed unexpectedly", step.key, exc_info=error)
    return Internal()


class JournalFailed(Exception):
    """A result could not be stored."""
