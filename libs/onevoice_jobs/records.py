"""The rows of the job tables as the rest of the system sees them: frozen and typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from onevoice_jobs.options import JobOptions
from onevoice_jobs.states import JobStatus, LanguageStatus, RunReason
from onevoice_kit.storage.base import ObjectRef

T = TypeVar("T")
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JobError:
    """The error of a failed job, language or step."""

    reason: str
    """Stable snake_case word."""
    message: str
    """One sentence, safe to show."""


@dataclass(frozen=True, slots=True)
class LanguageRecord:
    """One target language of a job."""

    job_id: UUID
    language: str
    status: LanguageStatus
    stage: str | None
    progress: float
    """0 to 100."""
    error: JobError | None
    metrics: Json
    started_at: datetime | None
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job."""

    id: UUID
    user_id: UUID
    video_id: UUID
    batch_id: UUID | None
    status: JobStatus
    stage: str | None
    progress: float
    """0 to 100; never goes back."""
    priority: int
    """Higher is sooner."""
    source: ObjectRef
    filename: str
    source_language: str | None
    target_languages: tuple[str, ...]
    options: JobOptions
    duration_ms: int
    """Length of the source."""
    quoted_credits: int
    spent_credits: int | None
    """None until settled."""
    attempts: int
    """Claims so far; one given back by a worker that had to stop does not count."""
    lease_epoch: int
    cancel_requested_at: datetime | None
    error: JobError | None
    metrics: Json
    traceparent: str
    """W3C trace context of the call that submitted the job; may be empty."""
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    deadline_at: datetime
    """A job that has not ended by then is failed."""
    estimated_completion: datetime | None
    reservation_id: str | None = None
    """Set where it is not the job's id; see `reservation`."""
    resumes: int = 0
    """Runs before the present one."""
    revision: int = 1
    """Grows with each run that applies edits."""
    notify_email: str | None = None
    """Address for the mail about the job's end."""
    waiting_since: datetime | None = None
    """Start of the present wait for a service that is away; kept until a step completes again."""

    @property
    def reservation(self) -> str:
        """Under which id the credits of the present run are set aside. A resumed job has reserved anew."""
        return self.reservation_id or str(self.id)


@dataclass(frozen=True, slots=True)
class StepRecord:
    """The checkpoint of one step."""

    key: str
    input_hash: str
    """Of everything the step's result depends on; another hash means that it must run again."""
    attempt: int
    """The one that succeeded, from 1, of the run that did it."""
    output: Json
    payment: bool = False
    """Once it is stored, the credits of the run may be spent."""


@dataclass(frozen=True, slots=True)
class Word:
    """A recognised word; milliseconds from the start of the source."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Segment:
    """A line of the source: one piece of speech by one speaker."""

    index: int
    """From 0, in the order of the source; unique within the job."""
    chunk: int
    """Number of the chunk in which it was recognised."""
    start_ms: int
    end_ms: int
    speaker: str
    source_text: str
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Translation:
    """A segment in a target language: text, sound, and where it was placed."""

    language: str
    index: int
    """Index of its segment."""
    text: str
    audio: ObjectRef | None = None
    natural_ms: int | None = None
    """Length of the synthesized speech at speed 1."""
    start_ms: int | None = None
    """Its placement; None until fitted."""
    end_ms: int | None = None
    speed: float | None = None
    onset_error_ms: int | None = None
    """Distance of the placed onset from the segment's."""
    flags: tuple[str, ...] = ()
    revision: int = 1
    """Grows with each stored change of text or audio; a store ignores it when writing."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A new text that the user gave a line of one language."""

    revision: int
    """The first revision of the job that contains it."""
    language: str
    index: int
    """Index of the segment."""
    line: str
    """`CHUNK.N`, the line's id in the pipeline."""
    text: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run of a job, from the user's request to its end."""

    job_id: UUID
    number: int
    """From 1."""
    revision: int
    reason: RunReason
    requested_by: UUID
    reservation_id: str
    quoted_credits: int
    """Credits reserved for it; it never costs more."""
    spent_credits: int | None
    """None until settled."""
    changed_ms: Mapping[str, int] | None
    """By language: milliseconds of edited lines, the price of the run; None: the whole job is."""
    status: JobStatus
    error: JobError | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Artifact:
    """A result that the user can download."""

    kind: str
    """`video`, `captions_srt`, `captions_vtt`, `thumbnail`, `manifest`, `report`."""
    language: str | None
    """None for what belongs to the whole job; captions of the source carry the source language."""
    filename: str
    ref: ObjectRef
    created_at: datetime | None = None
    """None until it is read back."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job and that watchers receive."""

    type: str
    data: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CompletedLanguage:
    """A language that has ended well."""

    language: str
    metrics: Json


@dataclass(frozen=True, slots=True)
class Published:
    """The part of a step's result that users see; stored with it, in one statement."""

    events: tuple[Event, ...] = ()
    segments: tuple[Segment, ...] = ()
    """One with the same index is replaced."""
    translations: tuple[Translation, ...] = ()
    """One with the same language and index is replaced."""
    artifacts: tuple[Artifact, ...] = ()
    """One of the same kind and language is replaced."""
    completed: tuple[CompletedLanguage, ...] = ()
    """Watchers get an event; a language that has ended before stays as it ended."""
    source_language: str | None = None
    """The language of the source, BCP-47; None changes nothing."""
    payment: bool = False
    """Once the result is stored, the credits of the run may be spent."""


NOTHING = Published()


@dataclass(frozen=True, slots=True)
class StepResult:
    """A step that is done."""

    key: str
    input_hash: str
    output: Json
    published: Published = NOTHING
    attempts: int = 1
    """Number of attempts in the run that made it."""


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event as it was recorded."""

    id: int
    """1, 2, 3 … within the job: no gaps, and a reader that has seen N will never see a new one below N."""
    job_id: UUID
    type: str
    data: Json
    created_at: datetime


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker's last sign of life."""

    id: str
    service: str
    version: str
    slots: int
    """Jobs it can work on at once."""
    busy: int
    """Jobs it works on now."""
    started_at: datetime
    seen_at: datetime
    alive: bool
    """True if the last heartbeat is recent."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list."""

    items: tuple[T, ...]
    next_cursor: str | None
    """Opaque; None at the end."""
