"""Invariants at the end: every job ended once, rightly paid, with the results of an undisturbed run."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

from onevoice_jobs.records import Artifact, Translation
from onevoice_jobs.states import JobStatus, LanguageStatus
from onevoice_jobs.testing import MemoryJob

from .scenario import Spec, Submission, price
from .storage import MemoryStorage
from .watch import Violation
from .world import World

_MAX_ATTEMPTS = 5
_ABOUT_OTHERS = ("report", "manifest")
"""Results that speak of every language and of each other."""


def check_end(world: World, references: dict[Spec, World]) -> None:
    """Raises `Violation` where a job has not ended as it should."""
    for submission in world.submitted.values():
        try:
            _Job(world, submission, references[submission.spec]).check()
        except Violation as violation:
            raise Violation(f"job {submission.job_id.hex[:6]}: {violation}") from None
    if world.ledger.open:
        raise Violation(f"{world.ledger.open} credits are still reserved")
    if len(world.queue):
        raise Violation(f"{len(world.queue)} messages are left in the queue")


class _Job:
    """One job, and the one that nothing disturbed."""

    def __init__(self, world: World, submission: Submission, reference: World) -> None:
        self._world = world
        self._submission = submission
        self._job = world.jobs.jobs[submission.job_id]
        self._reference_world = reference
        (self._reference,) = reference.jobs.jobs.values()

    def check(self) -> None:
        record = self._job.record
        if record.status is JobStatus.COMPLETED:
            self._completed()
        elif record.status is JobStatus.FAILED:
            self._failed()
        elif record.status is JobStatus.CANCELLED:
            _check(record.cancel_requested_at is not None, "it was cancelled without a request")
            _check(not record.spent_credits, "it was paid for, and cancelled")
        else:
            raise Violation(f"it is lost: still {record.status}")
        self._paid()
        self._notified()

    def _paid(self) -> None:
        record, reservation = self._job.record, self._world.ledger.reservations[str(self._submission.job_id)]
        spent, completed = record.spent_credits, record.status is JobStatus.COMPLETED
        _check(reservation.spent == spent, f"the job has the price {spent}, the ledger {reservation.spent}")
        if completed or spent:
            _check(reservation.state == "settled", "it has a price, and its credits are released")
            _check(spent == self._price(), f"it cost {spent} instead of {self._price()}")
        if spent and not completed:
            # Its workers died too often after it was done and paid: the user has what was paid for.
            self._artifacts(same=False)

    def _notified(self) -> None:
        expected = {JobStatus.COMPLETED: ["mail"], JobStatus.FAILED: ["mail", "alert"], JobStatus.CANCELLED: []}
        sent = [kind for kind, _, _ in self._job.notifications.values()]
        _check(sent == expected[self._job.record.status], f"the notifications are {sent}")

    def _price(self) -> int:
        done = [task for task in self._job.languages.values() if task.status is LanguageStatus.COMPLETED]
        return price(self._submission.spec.duration_ms, len(done))

    def _failed(self) -> None:
        record, reference = self._job.record, self._reference.record
        if reference.status is JobStatus.FAILED and reference.error == record.error:
            return
        # A claim that finds the attempts used up counts as one more.
        claims = _MAX_ATTEMPTS + (record.error is not None and record.error.reason == "too_many_attempts")
        _check(record.attempts >= claims, f"it failed after {record.attempts} claims by {record.error}")

    def _completed(self) -> None:
        _check(
            self._reference.record.status is JobStatus.COMPLETED, "it is completed, undisturbed it would have failed"
        )
        same = True
        for language, task in self._job.languages.items():
            reference = self._reference.languages[language]
            if (task.status, task.error) == (reference.status, reference.error):
                self._lines(language)
                continue
            gave_up = task.status is LanguageStatus.FAILED and self._job.record.attempts >= _MAX_ATTEMPTS
            _check(gave_up, f"{language} is {task.status} by {task.error}, undisturbed it would be {reference.status}")
            same = False
        _check(self._job.segments == self._reference.segments, "its segments are others")
        self._artifacts(same)
        self._manifest()

    def _lines(self, language: str) -> None:
        found, expected = (_lines(job, language) for job in (self._job, self._reference))
        completed = self._job.languages[language].status is LanguageStatus.COMPLETED
        _check(found == expected or not completed, f"its lines of {language} are others")

    def _artifacts(self, same: bool) -> None:
        found = _artifacts(self._job, self._world.storage)
        expected = _artifacts(self._reference, self._reference_world.storage)
        for (kind, language), content in expected.items():
            task = self._job.languages.get(language or "")
            if task and task.status is not LanguageStatus.COMPLETED:
                continue
            _check((kind, language) in found, f"it has no {kind} of {language}")
            equal = found[kind, language] == content or (kind in _ABOUT_OTHERS and not same)
            _check(equal, f"its {kind} of {language} is another")
        _check(set(found) <= set(expected), f"it has {set(found) - set(expected)} besides")

    def _manifest(self) -> None:
        """Every file it names is the one that is there."""
        manifest = json.loads(self._world.storage.objects[_key(self._job.artifacts["manifest", None])][0])
        for entry in manifest["files"]:
            artifact = self._job.artifacts.get((entry["kind"], entry["language"]))
            there = artifact is not None and artifact.ref.sha256 == entry["sha256"]
            _check(there, f"the manifest names another {entry['kind']} of {entry['language']}")


def _lines(job: MemoryJob, language: str) -> list[Translation]:
    lines = [line for line in job.translations.values() if line.language == language]
    return [replace(line, audio=line.audio and replace(line.audio, uri="")) for line in lines]


def _artifacts(job: MemoryJob, storage: MemoryStorage) -> dict[tuple[str, str | None], tuple[str, Any]]:
    """File name and content by kind and language; texts without what differs from job to job."""
    return {key: (item.filename, _content(item, job.record.id, storage)) for key, item in job.artifacts.items()}


def _content(artifact: Artifact, job_id: UUID, storage: MemoryStorage) -> Any:
    stored = storage.objects.get(_key(artifact))
    if stored is None:
        return artifact.ref.sha256
    text = stored[0].decode().replace(str(job_id), "JOB")
    if artifact.kind != "manifest":
        return text
    files = json.loads(text)["files"]
    return [file for file in files if file["kind"] != "report"]


def _key(artifact: Artifact) -> str:
    return artifact.ref.uri.removeprefix("file:///")


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Violation(otherwise)
