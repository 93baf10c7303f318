"""The states of jobs, language tasks and steps, and which may follow which."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from onevoice_kit.errors import Conflict


class JobStatus(enum.StrEnum):
    """The status of a job."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """True once the job has ended."""
        return self in TERMINAL


class LanguageStatus(enum.StrEnum):
    """The status of one target language of a job."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """True once work on the language has ended."""
        return JobStatus(self.value).terminal


class RunReason(enum.StrEnum):
    """The reason for a run of a job."""

    SUBMIT = "submit"
    RESUME = "resume"
    """The run before failed or was cancelled."""
    EDIT = "edit"
    """Lines of a completed job were edited."""


TERMINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})

TRANSITIONS: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.PENDING: frozenset({JobStatus.PROCESSING, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.PROCESSING: TERMINAL,
    # A new run keeps the checkpoints; which kind of run may follow is for `check_new_run`.
    JobStatus.COMPLETED: frozenset({JobStatus.PENDING}),
    JobStatus.FAILED: frozenset({JobStatus.PENDING}),
    JobStatus.CANCELLED: frozenset({JobStatus.PENDING}),
}

_NEW_RUNS: Mapping[RunReason, frozenset[JobStatus]] = {
    RunReason.SUBMIT: frozenset(),
    RunReason.RESUME: frozenset({JobStatus.FAILED, JobStatus.CANCELLED}),
    RunReason.EDIT: frozenset({JobStatus.COMPLETED}),
}


def sources(target: JobStatus) -> list[JobStatus]:
    """The states from which `target` may be reached, in the order of declaration."""
    return [status for status in JobStatus if target in TRANSITIONS[status]]


def check_transition(old: JobStatus, new: JobStatus) -> None:
    """`Conflict` (reason `invalid_transition`) unless `new` may follow `old`. Language tasks follow the same table."""
    if new not in TRANSITIONS[old]:
        raise _invalid(old, new)


def check_new_run(status: JobStatus, reason: RunReason) -> None:
    """`Conflict` (reason `invalid_transition`) unless a run for this reason may follow in this state."""
    if status not in _NEW_RUNS[reason]:
        raise _invalid(status, JobStatus.PENDING)


def _invalid(old: JobStatus, new: JobStatus) -> Conflict:
    return Conflict(
        f"A job that is {old} cannot become {new}.",
        reason="invalid_transition",
        details={"from": old.value, "to": new.value},
    )
