"""Bodies of jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from onevoice_jobs.options import EngineChoice, GlossaryTerm, JobOptions, Loudness, Terms
from onevoice_jobs.queries import JobView
from onevoice_jobs.records import JobError, JobRecord, LanguageRecord, RunRecord
from onevoice_jobs.states import JobStatus, LanguageStatus, RunReason
from onevoice_jobs.submit import PRIORITIES
from services.gateway.catalogue.service import EngineNeeds
from services.gateway.schemas import Language, Model, Name, Output, Text

Priority = Literal["low", "normal", "high"]


Term = Annotated[Text, Field(min_length=1, max_length=200, examples=["OneVoice"])]


class TermIn(Model):
    """A term that is always translated the same way."""

    source: Term
    target: Term


class EnginesIn(Model):
    """Engines by name; what is left out is chosen."""

    asr: Name | None = Field(default=None, examples=["pocketsphinx"])
    translate: Name | None = Field(default=None, examples=["apertium"])
    tts: Name | None = Field(default=None, examples=["espeak"])
    separation: Name | None = Field(
        default=None,
        description="Separates voice and background; with `none` the original is turned down under each line.",
        examples=["deepfilter"],
    )


_EXAMPLE: dict[str, Any] = {
    "target_languages": ["es", "ca"],
    "source_language": "en",
    "glossary": [{"source": "OneVoice", "target": "OneVoice"}],
    "loudness": "source",
}


class DubIn(Model):
    """The languages and options of a dub."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    target_languages: Annotated[list[Language], Field(min_length=1, max_length=200)]
    source_language: Language | None = Field(
        default=None,
        description="Language that is spoken; left out: the video's, else it is identified.",
    )
    voices: Annotated[dict[Language, Name | dict[Name, Name]], Field(max_length=200)] = Field(
        default={}, description="By target language: a voice for everyone, or one for each speaker."
    )
    speakers: int | None = Field(default=None, ge=1, le=20, description="Number of speakers; left out: estimated.")
    glossary: Annotated[tuple[TermIn, ...], Field(max_length=500)] = ()
    loudness: Loudness = Field(default="source", description="`source`, or LUFS.")
    burn_in_captions: bool = False
    force: bool = Field(
        default=False,
        description="Dub although hardly anyone speaks (`little_speech`), the words cannot be right "
        "(`transcript_implausible`) or the speech is in another language than the named one (`wrong_language`).",
    )
    keep_original_audio: bool = Field(default=True, description="Keep the original sound as a second track.")
    engines: EnginesIn = EnginesIn()
    terminology: Terms = Field(
        default="auto",
        description="`auto`: a language model first reads the whole transcript, so that names are translated alike "
        "throughout; its first lines come later. `off`: it does not.",
    )
    duck_gain_db: float | None = Field(
        default=None,
        ge=-60,
        le=0,
        description="How far the original is turned down under a line where it is not separated, decibels.",
    )
    priority: Priority = "normal"

    def needs(self, source_language: str | None) -> EngineNeeds:
        """The engines to use."""
        return EngineNeeds(
            source_language=source_language,
            target_languages=tuple(self.target_languages),
            voices=self.voices,
            asr_engine=self.engines.asr,
            translate_engine=self.engines.translate,
            tts_engine=self.engines.tts,
            separation_engine=self.engines.separation,
        )

    def options(self, source_language: str | None) -> JobOptions:
        """As the job keeps them."""
        return JobOptions(
            source_language=source_language,
            voices=dict(self.voices),
            speakers=self.speakers,
            glossary=tuple(GlossaryTerm(source=term.source, target=term.target) for term in self.glossary),
            loudness=self.loudness,
            burn_in_captions=self.burn_in_captions,
            force=self.force,
            keep_original_audio=self.keep_original_audio,
            engines=EngineChoice(**self.engines.model_dump()),
            terminology=self.terminology,
            duck_gain_db=self.duck_gain_db,
        )

    @property
    def priority_value(self) -> int:
        """As the queue takes it."""
        return PRIORITIES[self.priority]


class JobIn(DubIn):
    """A video and what to make of it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"video_id": "0199f2c5-6a1e-7c3b-9d4e-2f1a0b3c4d5e", **_EXAMPLE}]}
    )
    video_id: UUID


class ErrorOut(Output):
    """The reason of a failure."""

    reason: str = Field(examples=["no_speech"])
    message: str = Field(examples=["The video has no speech."])

    @classmethod
    def of(cls, error: JobError | None) -> Self | None:
        """From the record, if there is one."""
        return None if error is None else cls(reason=error.reason, message=error.message)


class LanguageOut(Output):
    """One target language of a job."""

    language: str = Field(examples=["es"])
    status: LanguageStatus
    stage: str | None = Field(examples=["synthesize"])
    progress: float = Field(description="0 to 100.", examples=[40.0])
    error: ErrorOut | None
    started_at: datetime | None
    completed_at: datetime | None

    @classmethod
    def of(cls, record: LanguageRecord) -> Self:
        """From the record."""
        return cls(
            language=record.language,
            status=record.status,
            stage=record.stage,
            progress=round(record.progress, 1),
            error=ErrorOut.of(record.error),
            started_at=record.started_at,
            completed_at=record.completed_at,
        )


class JobOut(Output):
    """A job."""

    id: UUID
    video_id: UUID
    status: JobStatus
    revision: int = Field(description="From 1; each regeneration adds one.", examples=[1])
    stage: str | None = Field(examples=["transcribe"])
    progress: float = Field(description="0 to 100; never goes back.", examples=[12.5])
    source_language: str | None = Field(description="Null until it is identified.", examples=["en"])
    target_languages: list[str] = Field(examples=[["es", "ca"]])
    languages: list[LanguageOut]
    quoted_credits: int = Field(description="Reserved for the present run, which never costs more.", examples=[120])
    spent_credits: int | None = Field(description="Credits of the present run; null until it is settled.")
    error: ErrorOut | None
    cancel_requested: bool = Field(description="A job that was paid for by then is completed all the same.")
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    estimated_completion: datetime | None

    @classmethod
    def of(cls, view: JobView) -> Self:
        """From the records."""
        job: JobRecord = view.job
        return cls(
            id=job.id,
            video_id=job.video_id,
            status=job.status,
            revision=job.revision,
            stage=job.stage,
            progress=round(job.progress, 1),
            source_language=job.source_language,
            target_languages=list(job.target_languages),
            languages=[LanguageOut.of(language) for language in view.languages],
            quoted_credits=job.quoted_credits,
            spent_credits=job.spent_credits,
            error=ErrorOut.of(job.error),
            cancel_requested=job.cancel_requested_at is not None,
            created_at=job.created_at,
            started_at=job.started_at,
            completed_at=job.completed_at,
            estimated_completion=job.estimated_completion,
        )


class RunOut(Output):
    """One run of a job, with credits of its own."""

    number: int = Field(description="From 1.", examples=[2])
    revision: int = Field(description="Revision of the job that the run makes.", examples=[2])
    reason: RunReason
    status: JobStatus
    changed_ms: dict[str, int] | None = Field(
        description="By language: milliseconds of edited lines, which are its price; null where it is the whole job.",
        examples=[{"es": 2400}],
    )
    quoted_credits: int = Field(examples=[3])
    spent_credits: int | None = Field(description="Null until the run is settled.", examples=[3])
    error: ErrorOut | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None

    @classmethod
    def of(cls, run: RunRecord) -> Self:
        """From the record."""
        return cls(
            number=run.number,
            revision=run.revision,
            reason=run.reason,
            status=run.status,
            changed_ms=None if run.changed_ms is None else dict(run.changed_ms),
            quoted_credits=run.quoted_credits,
            spent_credits=run.spent_credits,
            error=ErrorOut.of(run.error),
            created_at=run.created_at,
            started_at=run.started_at,
            completed_at=run.completed_at,
        )


class Runs(Output):
    """The runs of a job, the first one first."""

    items: list[RunOut]


class TranslationIn(Model):
    """A new text for a translated line."""

    text: Annotated[Text, Field(min_length=1, max_length=2000, examples=["Hola a todos."])]


class EditedLineOut(Output):
    """A line whose new text waits for the next run."""

    language: str = Field(examples=["es"])
    index: int
    text: str
    revision: int = Field(description="Revision of the job that will contain the text.", examples=[2])


class DubbingJobCreated(Output):
    """A job that has been submitted."""

    job_id: UUID


class DubbingJobOut(Output):
    """The status of a job."""

    job_id: UUID
    status: JobStatus
    progress: float
    error: ErrorOut | None
