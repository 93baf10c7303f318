"""Results of jobs: files with addresses, transcripts, captions and the report, and their routes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from onevoice_jobs.queries import get_job, list_artifacts, list_segments, list_translations
from onevoice_jobs.records import Artifact, Segment
from onevoice_kit.db import transaction
from onevoice_kit.errors import NotFound
from onevoice_kit.storage.base import Storage
from services.gateway.dependencies import CallerDep, EngineDep, part
from services.gateway.errors import problems
from services.gateway.jobs.router import NOT_FOUND
from services.gateway.schemas import Language, Output

_MAX_TEXT_BYTES = 64 << 20
"""Largest caption file or report that is served through the gateway."""


class ArtifactKind(StrEnum):
    """The kind of a result."""

    VIDEO = "video"
    CAPTIONS_SRT = "captions_srt"
    CAPTIONS_VTT = "captions_vtt"
    THUMBNAIL = "thumbnail"
    MANIFEST = "manifest"
    REPORT = "report"


class DownloadOut(Output):
    """A result and where to get it."""

    kind: str = Field(examples=["video"])
    language: str | None = Field(description="Null for what belongs to the whole job.", examples=["es"])
    filename: str = Field(examples=["talk.es.mp4"])
    content_type: str = Field(examples=["video/mp4"])
    size: int
    sha256: str
    url: str
    expires_at: datetime


class Downloads(Output):
    """Results of a job so far."""

    items: list[DownloadOut]


class LineOut(Output):
    """A line of a transcript; times are milliseconds from the start of the video."""

    index: int
    start_ms: int
    end_ms: int
    speaker: str = Field(examples=["speaker_1"])
    text: str
    source_text: str


class TranscriptOut(Output):
    """The lines of a job in one language, as far as they are ready."""

    language: str = Field(examples=["es"])
    segments: list[LineOut]


@dataclass(frozen=True, slots=True)
class TextFile:
    """A small result with its content."""

    content: bytes
    content_type: str


class Results:
    """Signs addresses of results and reads small ones."""

    def __init__(self, storage: Storage, download_expires_s: int) -> None:
        self._storage = storage
        self._expires_s = download_expires_s

    async def downloads(self, artifacts: Sequence[Artifact]) -> Downloads:
        """Results with addresses that work without credentials for a while."""
        expires_at = datetime.now(UTC) + timedelta(seconds=self._expires_s)
        return Downloads(items=[await self._download(artifact, expires_at) for artifact in artifacts])

    async def read(self, artifact: Artifact) -> TextFile:
        """A small result; `InvalidInput` (`object_too_large`) where it is a large one."""
        content = await self._storage.get_bytes(self._storage.key(artifact.ref.uri), _MAX_TEXT_BYTES)
        return TextFile(content, artifact.ref.content_type)

    async def _download(self, artifact: Artifact, expires_at: datetime) -> DownloadOut:
        ref = artifact.ref
        url = await self._storage.sign_get(self._storage.key(ref.uri), self._expires_s, filename=artifact.filename)
        return DownloadOut(
            kind=artifact.kind,
            language=artifact.language,
            filename=artifact.filename,
            content_type=ref.content_type,
            size=ref.size,
            sha256=ref.sha256,
            url=url,
            expires_at=expires_at,
        )


async def load_transcript(
    connection: AsyncConnection, user_id: UUID, job_id: UUID, language: str | None
) -> TranscriptOut:
    """The lines in the source's language or a target language, as far as they are ready."""
    job = (await get_job(connection, user_id, job_id)).job
    segments = await list_segments(connection, user_id, job_id)
    if language is None or language == job.source_language:
        lines = [_line(segment, segment.source_text) for segment in segments]
        return TranscriptOut(language=job.source_language or "und", segments=lines)
    if language not in job.target_languages:
        raise NotFound(f"The job has no transcript in {language}.", reason="transcript_not_found")
    texts = {line.index: line.text for line in await list_translations(connection, user_id, job_id, language)}
    spoken = [_line(segment, texts[segment.index]) for segment in segments if segment.index in texts]
    return TranscriptOut(language=language, segments=spoken)


async def load_captions(
    connection: AsyncConnection, user_id: UUID, job_id: UUID, language: str | None, kind: ArtifactKind
) -> Artifact:
    """A caption file; `NotFound` (`transcript_not_found`) where there is none, or none yet."""
    wanted = language or (await get_job(connection, user_id, job_id)).job.source_language
    found = await list_artifacts(connection, user_id, job_id, language=wanted, kind=kind)
    if not found:
        raise NotFound("The captions are not there, or not yet.", reason="transcript_not_found")
    return found[0]


async def load_report(connection: AsyncConnection, user_id: UUID, job_id: UUID) -> Artifact:
    """The quality report; `NotFound` (`report_not_found`) until the job has written it."""
    found = await list_artifacts(connection, user_id, job_id, kind=ArtifactKind.REPORT)
    if not found:
        raise NotFound("The report is not there yet.", reason="report_not_found")
    return found[0]


def _line(segment: Segment, text: str) -> LineOut:
    return LineOut(
        index=segment.index,
        start_ms=segment.start_ms,
        end_ms=segment.end_ms,
        speaker=segment.speaker,
        text=text,
        source_text=segment.source_text,
    )


router = APIRouter(prefix="/api/jobs", tags=["jobs"])

ResultsDep = Annotated[Results, Depends(part(Results))]
LanguageQuery = Annotated[Language | None, Query(description="A target language, or the source's.")]


class TranscriptFormat(StrEnum):
    """The format of a transcript."""

    JSON = "json"
    SRT = "srt"
    VTT = "vtt"


@router.get("/{job_id}/download", summary="Get the results", responses=problems(NOT_FOUND))
async def download_job(
    job_id: UUID,
    caller: CallerDep,
    engine: EngineDep,
    results: ResultsDep,
    language: LanguageQuery = None,
    kind: Annotated[ArtifactKind | None, Query(description="Only results of this kind.")] = None,
    revision: Annotated[int | None, Query(ge=1, le=1_000_000, description="Results of an earlier revision.")] = None,
) -> Downloads:
    """The results so far, each with an address that works without credentials for a while."""
    async with transaction(engine) as connection:
        found = await list_artifacts(
            connection, caller.user_id, job_id, language=language, kind=kind, revision=revision
        )
    return await results.downloads(found)


@router.get(
    "/{job_id}/transcript.{transcript_format}",
    response_model=TranscriptOut,
    summary="Get the transcript",
    responses={
        200: {
            "description": "The lines as JSON, or a caption file.",
            "content": {
                "application/x-subrip": {"schema": {"type": "string"}},
                "text/vtt": {"schema": {"type": "string"}},
            },
        },
        **problems(NOT_FOUND, (404, "transcript_not_found")),
    },
)
async def get_transcript(
    job_id: UUID,
    transcript_format: TranscriptFormat,
    caller: CallerDep,
    engine: EngineDep,
    results: ResultsDep,
    language: LanguageQuery = None,
) -> Response:
    """The words in the source's language, or in a target language. Captions are there when they are finished."""
    async with transaction(engine) as connection:
        if transcript_format is TranscriptFormat.JSON:
            transcript = await load_transcript(connection, caller.user_id, job_id, language)
            return Response(transcript.model_dump_json(), media_type="application/json")
        kind = ArtifactKind(f"captions_{transcript_format}")
        found = await load_captions(connection, caller.user_id, job_id, language, kind)
    captions = await results.read(found)
    return Response(captions.content, media_type=captions.content_type)


@router.get(
    "/{job_id}/report",
    response_class=Response,
    summary="Get the report",
    responses={
        200: {
            "description": "The measured quality report.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        **problems(NOT_FOUND, (404, "report_not_found")),
    },
)
async def get_report(job_id: UUID, caller: CallerDep, engine: EngineDep, results: ResultsDep) -> Response:
    """The measurements: every line, every language, and the engines that made them."""
    async with transaction(engine) as connection:
        found = await load_report(connection, caller.user_id, job_id)
    return Response((await results.read(found)).content, media_type="application/json")
