"""One claimed job: its graph runs while its lease is kept, until it ends or must stop."""

from __future__ import annotations

import asyncio
import enum
import logging
import random
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from onevoice_jobs import keys
from onevoice_jobs.leases import Claim, Lease, LeaseLost, Verdict
from onevoice_jobs.parking import Wait
from onevoice_jobs.records import JobError
from onevoice_jobs.service import Jobs
from onevoice_kit.errors import Kind, OneVoiceError
from onevoice_kit.grpc.context import object_scope
from onevoice_kit.queue.base import Delivery, Queue
from onevoice_kit.storage.base import Storage

from .clients import Clients
from .endings import OVERDUE, Endings
from .journal import JobJournal
from .pipeline.attempts import STEP_RETRY
from .pipeline.dubbing import dubbing, scope_end
from .pipeline.executor import Executor
from .progress import Progress
from .settings import OrchestratorSettings
from .steps.context import Edits, JobContext
from .steps.graph import Json

_log = logging.getLogger(__name__)

_MISSED_RENEWALS = 2
_SERVICES = {"transcribe": "asr", "store": "storage"}
"""Names of services where a stage is named differently."""
_INTERNAL = JobError("internal", "Something went wrong inside.")


class Outcome(enum.StrEnum):
    """The end of a run of a job."""

    COMPLETED = "completed"
    FAILED = "failed"
    EXHAUSTED = "exhausted"
    """Failed after its last attempt; its message goes to the dead-letter queue."""
    OVERDUE = "overdue"
    """Past its deadline and not paid for: its credits are given back; its message goes to the dead-letter queue."""
    CANCELLED = "cancelled"
    """By its user, and not paid for: its credits are given back."""
    WAITING = "waiting"
    """A service that the job needs is away: it is delivered again later, and no attempt is counted."""
    RETRY = "retry"
    """An unknown error: the job is retried, and the attempt counts."""
    STOPPED = "stopped"
    """The worker must stop: the job goes on elsewhere."""
    LOST = "lost"
    """Another worker has the job: hands off."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The outcome and what goes with it."""

    outcome: Outcome
    error: JobError | None = None
    spent_credits: int = 0
    metrics: Mapping[str, Any] = field(default_factory=dict)
    bad_input: bool = False
    """True if the source itself is the cause."""
    wait: Wait | None = None
    """Set with `WAITING`."""


_GIVEN_UP = (Outcome.CANCELLED, Outcome.OVERDUE)
_EXHAUSTED = Ending(Outcome.EXHAUSTED, JobError("too_many_attempts", "The job was tried too often without success."))
_BY_VERDICT = {
    Verdict.CANCEL: Ending(Outcome.CANCELLED),
    Verdict.OVERDUE: Ending(Outcome.OVERDUE, OVERDUE),
    Verdict.EXHAUSTED: _EXHAUSTED,
}


class JobRun:
    """Runs one job under one lease."""

    def __init__(
        self,
        claimed: Claim,
        delivery: Delivery,
        jobs: Jobs,
        queue: Queue,
        storage: Storage,
        clients: Clients,
        settings: OrchestratorSettings,
        rng: random.Random,
    ) -> None:
        self._job = claimed.job
        self._verdict = claimed.verdict
        self._delivery = delivery
        self._jobs = jobs
        self._queue = queue
        self._settings = settings
        self._rng = rng
        self._endings = Endings(clients, storage)
        self._lease: Lease = claimed.lease
        self._new = not claimed.resumed
        # By the clock of the database alone, which gave the lease.
        self._left_s = (self._job.deadline_at - claimed.lease.until).total_seconds() + settings.worker_lease_s
        self.store = jobs.store(claimed.lease)
        progress = Progress(self.store, self._job.target_languages)
        self._ctx = JobContext(self._job, self.store, clients, storage, settings, progress)

    async def run(self, stopping: asyncio.Event) -> Ending:
        """
        Runs the graph until it ends, or must: cancelled, overdue, lease lost, or the grace after `stopping` over.

        What is paid for is delivered: once the credits are settled, only the end is missing, and a cancel or the
        deadline comes too late.
        """
        with object_scope(keys.user_prefix(self._job.user_id)):
            return await _first(self._work(), self._until_lost(), self._until_stopped(stopping))

    async def _work(self) -> Ending:
        ending = _BY_VERDICT.get(self._verdict) or await _first(
            self._graph(), self._until_cancelled(), self._until_overdue()
        )
        if ending.outcome not in _GIVEN_UP or not await self._endings.give_credits_back(self._job):
            return ending
        _log.info("job %s is paid for, so it is not %s", self._job.id, ending.outcome)
        return await self._graph() if self._job.attempts <= self._settings.worker_max_attempts else _EXHAUSTED

    async def _graph(self) -> Ending:
        final = self._job.attempts >= self._settings.worker_max_attempts
        try:
            await self._load_edits()
        except OneVoiceError as error:
            return Ending(Outcome.WAITING, wait=self.wait(error, "store"))
        journal, self._new = JobJournal(self._ctx, new=self._new), False
        retry = replace(STEP_RETRY, budget_s=self._settings.worker_retry_budget_s)
        executor = Executor(journal, self._settings.stage_limits, scope_end=scope_end, retry=retry, rng=self._rng)
        try:
            async with journal:
                outputs = await executor.run(dubbing(self._ctx))
        except LeaseLost:
            return Ending(Outcome.LOST)
        except OneVoiceError as error:
            return self._failed(error, executor)
        except Exception:  # noqa: BLE001 - a defect of ours: the job is retried, the log has the truth
            _log.exception("A step failed in an unknown way", extra={"job_id": str(self._job.id)})
            return Ending(Outcome.EXHAUSTED if final else Outcome.RETRY, _INTERNAL)
        return _completed(outputs, self._job.target_languages)

    async def _load_edits(self) -> None:
        """The first revision of a job has none."""
        if self._job.revision > 1:
            run, edits = await self.store.run(), await self.store.edits()
            self._ctx = replace(self._ctx, edits=Edits(tuple(edits), run.changed_ms))

    def _failed(self, error: OneVoiceError, executor: Executor) -> Ending:
        facts = {"job_id": str(self._job.id), "reason": error.reason, "stage": executor.failed_stage}
        if error.retryable:
            _log.warning("The job waits: %s", error, extra=facts)
            return Ending(Outcome.WAITING, wait=self.wait(error, executor.failed_stage, progressed=executor.progressed))
        _log.warning("The job failed: %s", error, extra=facts)
        what = JobError(error.reason, error.message)
        # A source that was dubbed before is not to blame, and the results of its earlier revisions are kept.
        bad_input = error.kind in (Kind.INVALID_INPUT, Kind.PRECONDITION) and self._job.revision == 1
        return Ending(Outcome.FAILED, what, bad_input=bad_input)

    def wait(self, error: OneVoiceError, stage: str, *, progressed: bool = False) -> Wait:
        """
        The wait for a stage that is away: a quarter of the time waited so far, within bounds and with jitter, and never
        less than the server asked for. So a short absence costs little, and a long one does not load what comes back.
        """
        since = None if progressed else self._job.waiting_since
        granted = self._lease.until - timedelta(seconds=self._settings.worker_lease_s)
        waited_s = (granted - since).total_seconds() if since else 0.0
        least, most = self._settings.worker_wait_min_s, self._settings.worker_wait_max_s
        delay_s = min(most, max(least, waited_s / 4)) * self._rng.uniform(0.75, 1.25)
        service = _SERVICES.get(stage, stage)
        return Wait(service, error.reason, max(delay_s, error.retry_after or 0.0), progressed)

    async def _until_cancelled(self) -> Ending:
        while True:
            await asyncio.sleep(self._settings.worker_cancel_poll_s)
            try:
                if await self.store.cancel_requested():
                    return _BY_VERDICT[Verdict.CANCEL]
            except LeaseLost:
                return Ending(Outcome.LOST)
            except Exception:  # noqa: BLE001 - the lease decides whether work goes on, not this look
                _log.exception("Cannot see whether the job was cancelled", extra={"job_id": str(self._job.id)})

    async def _until_lost(self) -> Ending:
        missed = 0
        while missed < _MISSED_RENEWALS:
            await asyncio.sleep(self._settings.worker_renew_s)
            try:
                # One that is not answered is missed too: two of them, and the waits before, fit into a lease.
                async with asyncio.timeout(self._settings.worker_renew_s / 2):
                    await self._renew()
                missed = 0
            except LeaseLost:
                break
            except Exception:  # noqa: BLE001 - whatever it was, it is a missed renewal
                missed += 1
                _log.exception("The lease could not be renewed", extra={"job_id": str(self._job.id), "missed": missed})
            else:
                await self._extend()
        return Ending(Outcome.LOST)

    async def _renew(self) -> None:
        renewal = await self._jobs.renew(self._lease, ttl_s=self._settings.worker_lease_s)
        self._lease = renewal.lease

    async def _extend(self) -> None:
        """The lease decides which worker works; a message that is lost or doubled is only worth a line in the log."""
        try:
            async with asyncio.timeout(self._settings.worker_renew_s / 2):
                await self._queue.extend(self._delivery, int(self._settings.worker_lease_s))
        except (OneVoiceError, TimeoutError) as error:
            facts = {"job_id": str(self._job.id), "error": repr(error)}
            _log.warning("The message may be delivered again while its job is worked on", extra=facts)

    async def _until_overdue(self) -> Ending:
        await asyncio.sleep(self._left_s)
        return _BY_VERDICT[Verdict.OVERDUE]

    async def _until_stopped(self, stopping: asyncio.Event) -> Ending:
        await stopping.wait()
        await asyncio.sleep(self._settings.worker_grace_s)
        return Ending(Outcome.STOPPED)


def _completed(outputs: Mapping[str, Json], languages: tuple[str, ...]) -> Ending:
    """A job of which no language succeeded has failed, for the reason of its first language."""
    sections = [outputs[scope_end(language)]["section"] for language in languages]
    succeeded = [section for section in sections if section["status"] == "completed"]
    if not succeeded:
        error = sections[0]["error"]
        return Ending(Outcome.FAILED, JobError(error["reason"], error["message"]))
    metrics = {section["language"]: section["metrics"] for section in succeeded}
    return Ending(Outcome.COMPLETED, spent_credits=outputs["settle"], metrics=metrics)


async def _first(*ways: Coroutine[Any, Any, Ending]) -> Ending:
    """The result of the first that ends, of several at once the one named first; the others are cancelled."""
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task.done()).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
