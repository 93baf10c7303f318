"""Invariants after every event, checked at the moment it happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from onevoice_jobs.events import TERMINAL
from onevoice_jobs.leases import Lease
from onevoice_jobs.records import EventRecord, StepRecord
from onevoice_jobs.testing import MemoryJob, MemoryJobs

from .ledger import Ledger

_ONCE: Mapping[str, Callable[[Mapping[str, Any]], object]] = {
    "job.created": lambda _: None,
    "job.started": lambda _: None,
    "segment.recognised": lambda data: data["id"],
    "terms.found": lambda data: data["language"],
    "line.ready": lambda data: (data["language"], data["id"]),
    "language.completed": lambda data: data["language"],
    "language.failed": lambda data: data["language"],
}
"""Events that are recorded once, and the part of their data that distinguishes them."""


def _line_of(what: object, language: str) -> bool:
    """True for the announcement of a line of the language."""
    return isinstance(what, tuple) and what[0] == "line.ready" and what[1][0] == language


class Violation(AssertionError):
    """Something that must always hold does not."""


class Holder(Protocol):
    """The process that calls."""

    name: str


class _Seen:
    """Everything seen of one job."""

    def __init__(self) -> None:
        self.epoch = 0
        self.holder = ""
        self.owner = ""
        self.until: datetime | None = None
        self.events = 0
        self.once: set[object] = set()
        self.ended = False
        self.done: dict[str, tuple[str, int]] = {}
        """Checkpoints: input hash, and the epoch under which the step was done."""

    def recast(self, language: str) -> None:
        """The voices of a language are chosen anew, and its lines spoken again."""
        for key in list(self.done):
            if key == f"recast:{language}" or key.startswith((f"voices:{language}", f"speak:{language}:")):
                del self.done[key]
        self.once = {what for what in self.once if not _line_of(what, language)}


class Watch:
    """Watches the database, the ledger and the stages."""

    def __init__(self, jobs: MemoryJobs, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._now = now
        self._jobs = jobs
        self._ledger = ledger
        self._seen: dict[UUID, _Seen] = {}

    def claimed(self, holder: Holder, lease: Lease) -> None:
        """A lease was granted."""
        seen = self._of(lease.job_id)
        if (lease.epoch, lease.owner) == (seen.epoch, seen.owner):  # the same claim again, after a lost reply
            self.renewed(holder, lease)
            return
        _check(lease.epoch > seen.epoch, f"epoch {lease.epoch} was granted after {seen.epoch}")
        free = seen.until is None or seen.until <= self._now()
        _check(free, f"{holder.name} was granted what {seen.holder} holds until {seen.until}")
        seen.epoch, seen.holder, seen.owner, seen.until = lease.epoch, holder.name, lease.owner, lease.until
        self.job_changed(lease.job_id)

    def renewed(self, holder: Holder, lease: Lease) -> None:
        """A lease goes on."""
        seen = self._of(lease.job_id)
        _check((lease.epoch, holder.name) == (seen.epoch, seen.holder), f"{holder.name} renewed what is not its own")
        seen.until = lease.until

    def given_back(self, lease: Lease) -> None:
        """A lease was given back; without effect where it was lost before."""
        seen = self._of(lease.job_id)
        if seen.epoch == lease.epoch:
            seen.until = None

    def writing(self, holder: Holder, lease: Lease) -> Callable[[], None]:
        """Before a write under a lease; call the answer when it was accepted."""
        job, seen = self._jobs.jobs[lease.job_id], self._of(lease.job_id)
        ended, present, before = job.record.status.terminal, job.record.lease_epoch, dict(job.steps)

        def accepted() -> None:
            who = f"{holder.name} under epoch {lease.epoch}"
            _check(not ended, f"{who} wrote to a job that had ended")
            _check((lease.epoch, holder.name) == (seen.epoch, seen.holder), f"{who} wrote, {seen.holder} holds the job")
            _check(lease.epoch == present, f"{who} wrote, the present epoch is {present}")
            self._checkpoints(job, before, lease.epoch)
            self.job_changed(lease.job_id)

        return accepted

    def stage_called(self, lease: Lease, step: str) -> None:
        """A stage works for a step."""
        done = self._of(lease.job_id).done.get(step)
        if done and done[1] < lease.epoch:
            raise Violation(f"{step} was done under epoch {done[1]} and is repeated under {lease.epoch}")

    def money_moved(self) -> None:
        """The ledger has changed."""
        _check(self._ledger.balanced(), "the ledger is not balanced")

    def job_changed(self, job_id: UUID) -> None:
        """Checks the events recorded since the last check."""
        job, seen = self._jobs.jobs[job_id], self._of(job_id)
        for event in job.events[seen.events :]:
            seen.events += 1
            self._event(seen, event)
        _check(seen.ended == job.record.status.terminal, f"{job.record.status}, but the last event does not match")

    def _event(self, seen: _Seen, event: EventRecord) -> None:
        _check(event.id == seen.events, f"event {event.id} follows {seen.events - 1}")
        _check(not seen.ended, f"{event.type} was recorded after the end")
        seen.ended = event.type in TERMINAL
        if event.type in _ONCE:
            what = (event.type, _ONCE[event.type](event.data))
            _check(what not in seen.once, f"{what} was recorded twice")
            seen.once.add(what)

    def _checkpoints(self, job: MemoryJob, before: Mapping[str, StepRecord], epoch: int) -> None:
        done = self._of(job.record.id).done
        if before and not job.steps:
            done.clear()
        for key, step in job.steps.items():
            old = before.get(key)
            if step is old:
                continue
            if old is not None and _grew(key, old, step):
                self._of(job.record.id).recast(key.partition(":")[2])
            # A holder that lost the reply to its write writes the same again.
            repeated = old is not None and done.get(key) == (step.input_hash, epoch) and step.output == old.output
            twice = key in done and done[key][0] == step.input_hash and not repeated
            _check(not twice, f"{key} was done twice with the same input")
            done[key] = (step.input_hash, epoch)

    def _of(self, job_id: UUID) -> _Seen:
        return self._seen.setdefault(job_id, _Seen())


def _grew(key: str, old: StepRecord, new: StepRecord) -> bool:
    """True for a list of recasts with another one at its end."""
    before, after = old.output["value"], new.output["value"]
    return key.startswith("recast:") and len(after) > len(before) and after[: len(before)] == before


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Violation(otherwise)
