"""The queue loop: takes messages, claims their jobs, works on several at once, stops in good order."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import random
import socket
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version

from onevoice_jobs.leases import Claim, LeaseLost, Refusal, Refused
from onevoice_jobs.messages import DubbingJobMessage, PoisonMessage
from onevoice_jobs.notifications import Alerts
from onevoice_jobs.parking import Wait
from onevoice_jobs.records import JobError, JobRecord
from onevoice_jobs.service import Jobs
from onevoice_jobs.states import JobStatus
from onevoice_kit.db import uuid7
from onevoice_kit.errors import Conflict, OneVoiceError
from onevoice_kit.queue.base import Delivery, Queue
from onevoice_kit.retry import Backoff
from onevoice_kit.storage.base import Storage
from onevoice_kit.telemetry.trace import attach, span

from .claiming import Claims
from .clients import Clients
from .endings import OVERDUE, Endings
from .job_run import Ending, JobRun, Outcome
from .settings import OrchestratorSettings

_log = logging.getLogger(__name__)

_BATCH = 10
"""Most messages of one receive; SQS gives no more."""
_ERROR_PAUSE_S = 2.0
"""Pause after the queue or the database did not answer."""
_AFTER_DEFECT = Backoff(first_s=2.0, longest_s=300.0, jitter=0.5)
"""Time until a job is delivered again that an unexpected error has ended, by its attempts."""

_INTERNAL = JobError("internal", "Something went wrong inside.")


class Worker:
    """One orchestrator process."""

    def __init__(
        self,
        jobs: Jobs,
        queue: Queue,
        storage: Storage,
        clients: Clients,
        settings: OrchestratorSettings,
        *,
        alerts: Alerts | None = None,
        worker_id: str | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """
        `alerts` gets the messages that no worker can process; without it only the log does. `worker_id` must differ
        between any two processes; `rng` gives the jitter of retries.
        """
        self._jobs = jobs
        self._queue = queue
        self._storage = storage
        self._clients = clients
        self._endings = Endings(clients, storage)
        self._settings = settings
        self._alerts = alerts
        self._stopping = asyncio.Event()
        # In the order of their start: a set's order would differ from run to run.
        self._running: dict[asyncio.Task[None], None] = {}
        self._rng = rng or random.Random()
        self.id = worker_id or f"{socket.gethostname()}-{os.getpid()}-{str(uuid7())[-6:]}"
        self._claims = Claims(jobs, settings, self.id, self._rng)

    async def run(self) -> None:
        """Works until cancelled; then takes no more messages, and gives back what cannot be finished in the grace."""
        beat = asyncio.create_task(self._heartbeat())
        slots = asyncio.Semaphore(self._settings.worker_max_jobs)
        try:
            while True:
                free = await _take_free(slots)
                deliveries = await self._receive(free)
                for delivery in deliveries:
                    task = asyncio.create_task(self._handle(delivery))
                    self._running[task] = None
                    task.add_done_callback(self._running.pop)
                    task.add_done_callback(lambda _: slots.release())
                for _ in range(free - len(deliveries)):
                    slots.release()
        finally:
            self._stopping.set()
            await asyncio.gather(*self._running, return_exceptions=True)
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)
            with suppress(OneVoiceError):  # it is then taken for dead, which it is
                await self._jobs.deregister(self.id)

    async def _receive(self, most: int) -> Sequence[Delivery]:
        """Messages for jobs that can be started at once: nothing that is received waits in here."""
        try:
            return await self._queue.receive(max_messages=most, wait_s=float(self._settings.sqs_wait_time_seconds))
        except OneVoiceError as error:
            _log.warning("The queue does not answer: %s", error)
        except Exception:  # noqa: BLE001 - the running jobs must not end with it
            _log.exception("Messages cannot be received")
        await asyncio.sleep(_ERROR_PAUSE_S)
        return ()

    async def _heartbeat(self) -> None:
        while True:
            try:
                slots, busy = self._settings.worker_max_jobs, len(self._running)
                await self._jobs.heartbeat(self.id, version=version("onevoice"), slots=slots, busy=busy)
            except Exception:  # noqa: BLE001 - the next beat tries again
                _log.exception("The heartbeat could not be written")
            await asyncio.sleep(self._settings.worker_renew_s)

    async def _handle(self, delivery: Delivery) -> None:
        """Whatever happens here, the message is deleted, dead-lettered, or comes again."""
        with attach(delivery.attributes.get("traceparent")), span("job", job=delivery.attributes.get("jobId", "")):
            try:
                await self._work(delivery, DubbingJobMessage.from_delivery(delivery))
            except PoisonMessage as error:
                await self._bury(delivery, error)
            except Exception:  # noqa: BLE001 - one job's trouble must not end the worker
                _log.exception("The message is left for redelivery", extra={"message_id": delivery.id})

    async def _bury(self, delivery: Delivery, error: PoisonMessage) -> None:
        """Sends a message that no worker can ever process to the dead-letter queue."""
        facts = {"message_id": delivery.id, "reason": error.reason}
        try:
            if self._alerts:
                await self._alerts.raise_alert(f"alert:message:{delivery.id}", {"event": "dead_letter", **facts})
            await self._queue.dead_letter(delivery, error.reason)
        except OneVoiceError:
            _log.exception("A message that cannot be worked on stays in the queue for now", extra=facts)
        else:
            _log.error("A message that cannot be worked on is now a dead letter", extra=facts)

    async def _work(self, delivery: Delivery, message: DubbingJobMessage) -> None:
        # From here on the message is hidden as long as a lease lasts, so that a killed worker delays its job no more.
        with suppress(Conflict):
            await self._queue.extend(delivery, int(self._settings.worker_lease_s))
        claimed = await self._claims.claim(message.job_id, message.requested_at)
        if isinstance(claimed, Refused):
            await self._refused(delivery, claimed)
            return
        run = JobRun(
            claimed, delivery, self._jobs, self._queue, self._storage, self._clients, self._settings, self._rng
        )
        try:
            ending = await run.run(self._stopping)
            _log.info("job %s: %s", claimed.job.id, ending.outcome, extra={"job_id": str(claimed.job.id)})
            await self._finish(run, delivery, claimed, ending)
        except OneVoiceError as error:
            if not error.retryable:
                raise
            # Billing or the database is away; the checkpoints bring the job to the same end once it is back.
            await self._park(claimed, delivery, run.wait(error, "billing"))

    async def _park(self, claimed: Claim, delivery: Delivery, wait: Wait) -> None:
        """
        The new message replaces the delivered one, whose receives would add up to a dead letter. Where the lease is
        over, the job may be parked already or be another worker's: the delivered message may be all that it has, so it
        stays, and the next claim decides.
        """
        try:
            await self._claims.park(claimed.lease, wait)
        except LeaseLost:
            _log.info("job %s: lost before it could wait", claimed.job.id, extra={"job_id": str(claimed.job.id)})
            await self._queue.release(delivery)
        else:
            await self._queue.delete(delivery)

    async def _refused(self, delivery: Delivery, refused: Refused) -> None:
        if refused.reason is Refusal.UNKNOWN:
            raise PoisonMessage("There is no such job.", reason="unknown_job")
        if refused.reason is Refusal.SUPERSEDED:
            await self._queue.delete(delivery)
        elif refused.reason is Refusal.HELD:
            await self._queue.release(delivery, delay_s=max(1, int(refused.retry_in_s)))
        else:
            if refused.job and refused.job.status is not JobStatus.COMPLETED:
                # The process that ended it may have died, or not reached billing, before it could.
                await self._endings.give_credits_back(refused.job)
            if refused.job and self._is_exhausted(refused.job):
                await self._queue.dead_letter(delivery, refused.job.error.reason if refused.job.error else "failed")
            else:
                await self._queue.delete(delivery)

    def _is_exhausted(self, job: JobRecord) -> bool:
        """True if it failed with its last attempt, and the worker died before it could delete the message."""
        return job.status is JobStatus.FAILED and job.attempts >= self._settings.worker_max_attempts

    async def _finish(self, run: JobRun, delivery: Delivery, claimed: Claim, ending: Ending) -> None:
        """Money first, then the state, then the message: each repeats safely if the next does not happen."""
        job, store = claimed.job, run.store
        if ending.outcome is Outcome.COMPLETED:
            await store.job_completed(spent_credits=ending.spent_credits, metrics=ending.metrics)
            await self._queue.delete(delivery)
        elif ending.outcome is Outcome.CANCELLED:
            await store.job_cancelled()
            await self._queue.delete(delivery)
        elif ending.outcome is Outcome.OVERDUE:
            await store.job_failed(OVERDUE)
            await self._queue.dead_letter(delivery, OVERDUE.reason)
        elif ending.outcome in (Outcome.FAILED, Outcome.EXHAUSTED):
            await self._endings.fail(job, store, ending.error or _INTERNAL, bad_input=ending.bad_input)
            if ending.outcome is Outcome.FAILED:
                await self._queue.delete(delivery)
            else:
                await self._queue.dead_letter(delivery, ending.error.reason if ending.error else "failed")
        elif ending.outcome is Outcome.STOPPED:
            await self._claims.give_back(claimed.lease, count_attempt=False)
            await self._queue.release(delivery)
        elif ending.wait:
            await self._park(claimed, delivery, ending.wait)
        elif ending.outcome is Outcome.RETRY:
            await self._claims.give_back(claimed.lease, count_attempt=True)
            await self._queue.release(delivery, delay_s=math.ceil(_AFTER_DEFECT.delay_s(job.attempts, self._rng)))


async def _take_free(slots: asyncio.Semaphore) -> int:
    """Waits for a free slot and takes what is free, as many as one receive may bring; returns how many."""
    await slots.acquire()
    taken = 1
    while taken < _BATCH and not slots.locked():
        await slots.acquire()
        taken += 1
    return taken
