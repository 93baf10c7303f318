"""The port of a lease holder: checkpoints, lines, artifacts, progress, the end; and what its adapters share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from onevoice_jobs import events as event_types
from onevoice_jobs.leases import Lease
from onevoice_jobs.records import (
    Edit,
    Event,
    JobError,
    Json,
    Published,
    RunRecord,
    Segment,
    StepRecord,
    StepResult,
    Translation,
)


class JobStore(Protocol):
    """
    The job of one lease. Every write raises `LeaseLost` when the lease is no longer the present one, and then has
    changed nothing: the worker must stop all work of the job. Of the reads only `cancel_requested` does.
    """

    @property
    def lease(self) -> Lease:
        """The lease that fences every write."""
        ...

    async def finish_steps(self, results: Sequence[StepResult], *, again: bool = False) -> None:
        """
        Stores several steps' results, with what users see of them, all or none, and notifies watchers.

        `again`: an earlier call with the same results may have taken effect, or be about to; it is then waited for.
        What is stored already is replaced by the same, and its events are not recorded twice.
        """
        ...

    async def completed_steps(self) -> dict[str, StepRecord]:
        """The checkpoints by key. A step whose input hash has changed since must run again."""
        ...

    async def segments(self) -> list[Segment]:
        """The segments saved so far, in order."""
        ...

    async def translations(self, language: str) -> list[Translation]:
        """The translations of a language saved so far, in order."""
        ...

    async def run(self) -> RunRecord:
        """The present run of the job."""
        ...

    async def edits(self) -> list[Edit]:
        """The edits that the present run applies, in the order of their revisions: a later one replaces an earlier."""
        ...

    async def forget_results(self) -> None:
        """Drops checkpoints, lines and artifacts: their objects are deleted, or the source is to blame."""
        ...

    async def set_progress(self, stage: str, percent: float, *, language: str | None = None) -> bool:
        """
        Shows the stage and the progress (0–100) of a language, or of the whole job, and notifies watchers.

        Progress never goes back. Nothing is written while stage and whole percent are what they were;
        returns whether something was.
        """
        ...

    async def language_failed(self, language: str, error: JobError) -> None:
        """Ends a language in failure; the others go on."""
        ...

    async def record(self, *items: Event) -> None:
        """Records events and notifies watchers."""
        ...

    async def cancel_requested(self) -> bool:
        """True if the user has requested a cancel, as `renew` returns it."""
        ...

    # The end. Afterwards the lease is over: any later write raises `LeaseLost`.

    async def job_completed(self, *, spent_credits: int, metrics: Json) -> None:
        """Ends the job well, after its credits are settled."""
        ...

    async def job_failed(self, error: JobError, *, spent_credits: int = 0) -> None:
        """Ends the job and its open languages in failure, after its credits are released."""
        ...

    async def job_cancelled(self) -> None:
        """Ends the job and its open languages as cancelled, after its credits are released."""
        ...


class PublishedProgress:
    """Progress as a store last wrote it: stage and whole percent, by language; None stands for the job."""

    def __init__(self) -> None:
        self._last: dict[str | None, tuple[str, int]] = {}

    def is_new(self, stage: str, percent: float, language: str | None) -> bool:
        """True if writing this would change the events that watchers see."""
        return self._last.get(language) != (stage, int(percent))

    def wrote(self, stage: str, percent: float, language: str | None) -> None:
        """Remembers what has been written."""
        self._last[language] = (stage, int(percent))


def events_of(published: Published) -> list[Event]:
    """The events of a step's result, those of the languages it completes last."""
    found = published.source_language
    source = [Event(event_types.SOURCE_LANGUAGE, {"source_language": found})] if found else []
    ends = [Event(event_types.LANGUAGE_COMPLETED, {"language": end.language}) for end in published.completed]
    return [*published.events, *source, *ends]


def bounded(percent: float) -> float:
    """A percentage within 0 and 100."""
    return min(100.0, max(0.0, percent))


def progress_event(stage: str, percent: float, language: str | None) -> Event:
    """The event of a progress that has been written."""
    return Event(
        event_types.JOB_PROGRESS,
        {"stage": stage, "percent": int(percent)} | ({"language": language} if language else {}),
    )
