"""The port `Jobs` in memory, with leases, fencing and events as on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from onevoice_jobs.events import (
    JOB_CANCEL_REQUESTED,
    JOB_CANCELLED,
    JOB_CREATED,
    JOB_REGENERATED,
    JOB_RESUMED,
    JOB_STARTED,
    JOB_WAITING,
)
from onevoice_jobs.leases import Claim, Lease, LeaseLost, Refusal, Refused, Renewal, Verdict, superseded
from onevoice_jobs.messages import DubbingJobMessage
from onevoice_jobs.parking import Wait
from onevoice_jobs.queries import job_not_found
from onevoice_jobs.records import Edit, Event, JobRecord, WorkerRecord
from onevoice_jobs.runs import changed_ms, plan_edit, unpaid_edits
from onevoice_jobs.states import JobStatus, LanguageStatus, RunReason, check_new_run, check_transition
from onevoice_jobs.store import JobStore
from onevoice_jobs.submit import NewJob
from onevoice_jobs.testing.state import CLEARED, MemoryJob, new_job
from onevoice_jobs.testing.store import MemoryJobStore
from onevoice_jobs.workers import ALIVE_S
from onevoice_kit.errors import Conflict
from onevoice_kit.queue.base import Message


class MemoryJobs:
    """
    Jobs by id. No method waits, so each is as atomic as a transaction.

    `now` is the clock of the database; `send` gets every message that PostgreSQL would put into the outbox, with its
    priority and its delay in seconds.
    """

    def __init__(
        self,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        send: Callable[[Message, int, float], None] | None = None,
    ) -> None:
        self.jobs: dict[UUID, MemoryJob] = {}
        self.workers: dict[str, WorkerRecord] = {}
        self._now = now
        self._send = send or (lambda _message, _priority, _delay_s: None)

    # The port

    async def claim(
        self, job_id: UUID, owner: str, *, ttl_s: float, max_attempts: int, sent_at: datetime | None = None
    ) -> Claim | Refused:
        """See `leases.claim`."""
        job, now = self.jobs.get(job_id), self._now()
        if job is None:
            return Refused(Refusal.UNKNOWN, None)
        if job.record.status.terminal:
            return Refused(Refusal.ENDED, job.record)
        before, until = job.record, now + timedelta(seconds=ttl_s)
        if job.lease_owner != owner and superseded(sent_at, before.waiting_since, job.enqueued_at):
            return Refused(Refusal.SUPERSEDED, before)
        if job.held_s(now) > 0:
            if job.lease_owner != owner:
                return Refused(Refusal.HELD, before, job.held_s(now))
            return _granted_before(job, owner, until, _verdict(before, before.attempts - 1, max_attempts, now))
        verdict = _verdict(before, before.attempts, max_attempts, now)
        epoch = job.lease(owner, until)
        job.change(attempts=before.attempts + 1)
        if verdict is Verdict.RUN or (verdict is not Verdict.EXHAUSTED and job.may_be_paid()):
            job.change(status=JobStatus.PROCESSING, started_at=before.started_at or now)
            job.record_events([Event(JOB_STARTED)] if before.status is JobStatus.PENDING else [], now)
        return Claim(
            Lease(job_id, owner, epoch, until), job.record, verdict, before.started_at is not None or before.resumes > 0
        )

    async def renew(self, lease: Lease, *, ttl_s: float) -> Renewal:
        """See `leases.renew`."""
        job = self.held(lease)
        job.lease_until = self._now() + timedelta(seconds=ttl_s)
        renewed = Lease(lease.job_id, lease.owner, lease.epoch, job.lease_until)
        return Renewal(renewed, job.record.cancel_requested_at is not None)

    async def give_back(self, lease: Lease, *, count_attempt: bool) -> None:
        """See `leases.give_back`."""
        job = self.jobs.get(lease.job_id)
        if job and job.record.lease_epoch == lease.epoch:
            job.lease(None, None)
            job.change(attempts=max(0, job.record.attempts - (not count_attempt)))

    async def park(self, lease: Lease, wait: Wait) -> None:
        """See `parking.park`."""
        job, now = self.jobs.get(lease.job_id), self._now()
        if job is None or job.record.lease_epoch != lease.epoch:
            raise LeaseLost(lease.job_id)
        since = None if wait.progressed else job.record.waiting_since
        job.lease(None, None)
        job.change(attempts=max(0, job.record.attempts - 1), stage=wait.stage, waiting_since=since or now)
        if since is None:
            job.record_events([Event(JOB_WAITING, {"stage": wait.stage, "reason": wait.reason})], now)
        left_s = (job.record.deadline_at - now).total_seconds()
        self._enqueue(job, job.record.attempts, delay_s=wait.within(left_s))

    def store(self, lease: Lease) -> JobStore:
        """The store of the lease's holder."""
        return MemoryJobStore(self, lease)

    async def heartbeat(self, worker_id: str, *, version: str, slots: int, busy: int) -> None:
        """See `workers.heartbeat`."""
        now, old = self._now(), self.workers.get(worker_id)
        started = old.started_at if old else now
        self.workers[worker_id] = WorkerRecord(worker_id, "orchestrator", version, slots, busy, started, now, True)

    async def deregister(self, worker_id: str) -> None:
        """See `workers.deregister`."""
        self.workers.pop(worker_id, None)

    def alive(self, *, alive_s: float = ALIVE_S) -> list[str]:
        """The workers that have shown themselves within `alive_s`."""
        since = self._now() - timedelta(seconds=alive_s)
        return [worker.id for worker in self.workers.values() if worker.seen_at > since]

    # From outside of the worker

    def submit(self, job: NewJob, job_id: UUID) -> None:
        """See `submit.insert_job`."""
        now = self._now()
        self.jobs[job_id] = new_job(job, job_id, now)
        self.jobs[job_id].record_events([Event(JOB_CREATED, {"languages": list(job.target_languages)})], now)
        message = DubbingJobMessage(job_id, job.user_id, job.video_id, now)
        self._send(message.to_message(traceparent=job.traceparent), job.priority, 0.0)

    def request_cancel(self, user_id: UUID, job_id: UUID) -> JobStatus:
        """See `control.request_cancel`."""
        job, now = self._of(user_id, job_id), self._now()
        status, asked_before = job.record.status, job.record.cancel_requested_at is not None
        if status is JobStatus.CANCELLED:
            return status
        check_transition(status, JobStatus.CANCELLED)
        job.change(cancel_requested_at=job.record.cancel_requested_at or now)
        if job.held_s(now) > 0 or job.may_be_paid():
            job.record_events([] if asked_before else [Event(JOB_CANCEL_REQUESTED)], now)
            return status
        job.lease(None, None)
        job.change(status=JobStatus.CANCELLED, completed_at=now, estimated_completion=None, spent_credits=0)
        for language in job.open_languages():
            job.change_language(language, status=LanguageStatus.CANCELLED, completed_at=now)
        job.record_events([Event(JOB_CANCELLED)], now)
        self._enqueue(job, job.record.attempts)
        return JobStatus.CANCELLED

    def resume(self, user_id: UUID, job_id: UUID, *, reservation_id: str | None = None) -> None:
        """See `control.resume_job`."""
        job = self._of(user_id, job_id)
        check_new_run(job.record.status, RunReason.RESUME)
        changed, attempts = job.runs[-1].changed_ms, job.record.attempts
        reopened = [
            language
            for language, task in job.languages.items()
            if task.status is not LanguageStatus.COMPLETED and (changed is None or language in changed)
        ]
        values = {"reservation_id": reservation_id} if reservation_id else {}
        self._begin_run(job, RunReason.RESUME, reopened, changed, values)
        job.record_events([Event(JOB_RESUMED)], self._now())
        self._enqueue(job, attempts)

    def edit(self, user_id: UUID, job_id: UUID, language: str, index: int, text: str) -> Edit:
        """See `runs.edit_translation`."""
        job = self._of(user_id, job_id)
        check_new_run(job.record.status, RunReason.EDIT)
        lines = [line for line in job.translations.values() if line.language == language]
        edit = plan_edit(job.record, list(job.segments.values()), lines, index, text)
        job.edits[edit.revision, language, index] = edit
        return edit

    def unpaid_changes(self, user_id: UUID, job_id: UUID) -> dict[str, int]:
        """See `runs.unpaid_changes`."""
        job = self._of(user_id, job_id)
        check_new_run(job.record.status, RunReason.EDIT)
        unpaid = [edit for key, edit in job.edits.items() if key not in job.paid_edits]
        unpaid = unpaid_edits(job.languages.values(), unpaid, job.record.revision)
        if not any(edit.revision > job.record.revision for edit in unpaid):
            raise Conflict("No line of this job has been edited since its last run.", reason="nothing_edited")
        return changed_ms(unpaid, job.segments.values())

    def regenerate(self, user_id: UUID, job_id: UUID, *, reservation_id: str, quoted_credits: int) -> None:
        """See `runs.start_edit_run`."""
        changed, job = self.unpaid_changes(user_id, job_id), self._of(user_id, job_id)
        revision, attempts = job.record.revision, job.record.attempts
        job.paid_edits |= {
            key for key in job.edits if key[0] <= revision and job.languages[key[1]].status is LanguageStatus.COMPLETED
        }
        job.past_artifacts |= {(revision, *key): made for key, made in job.artifacts.items()}
        job.steps = {key: step for key, step in job.steps.items() if not step.payment}
        values = {"revision": revision + 1, "reservation_id": reservation_id, "quoted_credits": quoted_credits}
        self._begin_run(job, RunReason.EDIT, changed, changed, {"progress": 0.0, **values})
        job.record_events(
            [Event(JOB_REGENERATED, {"revision": revision + 1, "languages": sorted(changed)})], self._now()
        )
        self._enqueue(job, attempts)

    def requeue_stuck(self, *, older_than_s: float, limit: int = 100) -> list[UUID]:
        """See `control.requeue_stuck`."""
        now = self._now()
        oldest = now - timedelta(seconds=older_than_s)
        stuck = [
            job
            for job in sorted(self.jobs.values(), key=lambda job: job.enqueued_at)
            if not job.record.status.terminal and job.enqueued_at < oldest and job.held_s(now) <= 0
        ]
        for job in stuck[:limit]:
            self._enqueue(job, job.record.attempts)
        return [job.record.id for job in stuck[:limit]]

    def overdue(self, *, limit: int = 100) -> list[UUID]:
        """See `control.overdue_jobs`."""
        now = self._now()
        late = [
            job.record
            for job in self.jobs.values()
            if not job.record.status.terminal and job.record.deadline_at <= now and job.held_s(now) <= 0
        ]
        return [record.id for record in sorted(late, key=lambda record: record.deadline_at)[:limit]]

    # For the store

    def held(self, lease: Lease) -> MemoryJob:
        """The job of a lease that is the present one; `LeaseLost` where it is not."""
        job = self.jobs.get(lease.job_id)
        if job is None or job.record.lease_epoch != lease.epoch:
            raise LeaseLost(lease.job_id)
        return job

    def now(self) -> datetime:
        """The time by the clock of the database."""
        return self._now()

    def _of(self, user_id: UUID, job_id: UUID) -> MemoryJob:
        job = self.jobs.get(job_id)
        if job is None or job.record.user_id != user_id:
            raise job_not_found()
        return job

    def _begin_run(
        self,
        job: MemoryJob,
        reason: RunReason,
        languages: Iterable[str],
        changed: Mapping[str, int] | None,
        values: Mapping[str, Any],
    ) -> None:
        now, record = self._now(), job.record
        deadline = now + (record.deadline_at - job.runs[-1].created_at)
        run: dict[str, Any] = {"status": JobStatus.PENDING, "attempts": 0, "resumes": record.resumes + 1}
        # The row of the run before stays as it ended.
        job.record = replace(record, **CLEARED, **run, **values, deadline_at=deadline)
        job.begin_run(reason, now, changed)
        reopened = dict.fromkeys(("stage", "error", "started_at", "completed_at"))
        for language in languages:
            job.change_language(language, status=LanguageStatus.PENDING, **reopened)

    def _enqueue(self, job: MemoryJob, attempts: int, *, delay_s: float = 0.0) -> None:
        record, job.enqueued_at = job.record, self._now()
        message = DubbingJobMessage(record.id, record.user_id, record.video_id, job.enqueued_at)
        sent = message.to_message(traceparent=record.traceparent, attempt=attempts + 1)
        self._send(sent, record.priority, delay_s)


def _granted_before(job: MemoryJob, owner: str, until: datetime, verdict: Verdict) -> Claim:
    job.lease_until, record = until, job.record
    lease = Lease(record.id, owner, record.lease_epoch, until)
    return Claim(lease, record, verdict, _resumed(record))


def _resumed(job: JobRecord) -> bool:
    return job.started_at is not None or job.resumes > 0


def _verdict(job: JobRecord, attempts_before: int, max_attempts: int, now: datetime) -> Verdict:
    if job.cancel_requested_at is not None:
        return Verdict.CANCEL
    if job.deadline_at <= now:
        return Verdict.OVERDUE
    return Verdict.EXHAUSTED if attempts_before >= max_attempts else Verdict.RUN
