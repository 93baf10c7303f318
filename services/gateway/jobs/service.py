"""Jobs as their owner sees them: state, results, transcript, report; and cancelling."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs.control import request_cancel
from onevoice_jobs.queries import JobView, get_job, list_artifacts, list_jobs, list_segments, list_translations
from onevoice_jobs.records import Artifact, JobRecord, Page, Segment
from onevoice_jobs.states import JobStatus
from onevoice_kit.db import transaction
from onevoice_kit.errors import NotFound, OneVoiceError
from onevoice_kit.storage.base import Storage
from services.gateway.clients.billing import BillingClient
from services.gateway.jobs.schemas import ArtifactKind, DownloadOut, LineOut, TranscriptOut

logger = logging.getLogger(__name__)

_MAX_TEXT_BYTES = 64 << 20
"""Largest caption file or report that is served through the gateway."""


@dataclass(frozen=True, slots=True)
class TextFile:
    """A small result with its content."""

    content: bytes
    content_type: str


class JobService:
    """Reads and cancels jobs."""

    def __init__(self, engine: AsyncEngine, storage: Storage, billing: BillingClient, download_expires_s: int) -> None:
        self._engine = engine
        self._storage = storage
        self._billing = billing
        self._expires_s = download_expires_s

    async def get(self, user_id: UUID, job_id: UUID) -> JobView:
        """A job of this user."""
        async with transaction(self._engine) as connection:
            return await get_job(connection, user_id, job_id)

    async def page(
        self,
        user_id: UUID,
        *,
        status: JobStatus | None,
        batch_id: UUID | None,
        video_id: UUID | None,
        cursor: str | None,
        limit: int,
    ) -> Page[JobView]:
        """Jobs of this user, newest first."""
        async with transaction(self._engine) as connection:
            return await list_jobs(
                connection, user_id, status=status, batch_id=batch_id, video_id=video_id, cursor=cursor, limit=limit
            )

    async def cancel(self, user_id: UUID, job_id: UUID) -> JobView:
        """Cancels a job: at once where no worker holds it, else when its worker sees it, unless it is paid for."""
        async with transaction(self._engine) as connection:
            status = await request_cancel(connection, user_id, job_id)
            view = await get_job(connection, user_id, job_id)
        if status is JobStatus.CANCELLED:
            await self._give_credits_back(view.job)
        return view

    async def downloads(
        self,
        user_id: UUID,
        job_id: UUID,
        language: str | None,
        kind: ArtifactKind | None,
        revision: int | None = None,
    ) -> list[DownloadOut]:
        """Results so far, or of a revision, with addresses that work without credentials for a while."""
        found = await self._artifacts(user_id, job_id, language, kind, revision)
        expires_at = datetime.now(UTC) + timedelta(seconds=self._expires_s)
        return [await self._download(artifact, expires_at) for artifact in found]

    async def transcript(self, user_id: UUID, job_id: UUID, language: str | None) -> TranscriptOut:
        """The lines in the source's language or a target language, as far as they are ready."""
        async with transaction(self._engine) as connection:
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

    async def captions(self, user_id: UUID, job_id: UUID, language: str | None, kind: ArtifactKind) -> TextFile:
        """A caption file; `NotFound` (`transcript_not_found`) where there is none, or none yet."""
        wanted = language or (await self.get(user_id, job_id)).job.source_language
        found = await self._artifacts(user_id, job_id, wanted, kind)
        if not found:
            raise NotFound("The captions are not there, or not yet.", reason="transcript_not_found")
        return await self._read(found[0])

    async def report(self, user_id: UUID, job_id: UUID) -> TextFile:
        """The quality report; `NotFound` (`report_not_found`) until the job has written it."""
        found = await self._artifacts(user_id, job_id, None, ArtifactKind.REPORT)
        if not found:
            raise NotFound("The report is not there yet.", reason="report_not_found")
        return await self._read(found[0])

    async def _artifacts(
        self,
        user_id: UUID,
        job_id: UUID,
        language: str | None,
        kind: ArtifactKind | None,
        revision: int | None = None,
    ) -> list[Artifact]:
        async with transaction(self._engine) as connection:
            return await list_artifacts(connection, user_id, job_id, language=language, kind=kind, revision=revision)

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

    async def _read(self, artifact: Artifact) -> TextFile:
        content = await self._storage.get_bytes(self._storage.key(artifact.ref.uri), _MAX_TEXT_BYTES)
        return TextFile(content, artifact.ref.content_type)

    async def _give_credits_back(self, job: JobRecord) -> None:
        try:
            await self._billing.release(job.reservation)
        except OneVoiceError:
            # The worker that meets the cancelled job's message releases the credits too.
            logger.warning("credits of a cancelled job not released yet", extra={"job_id": str(job.id)}, exc_info=True)


def _line(segment: Segment, text: str) -> LineOut:
    return LineOut(
        index=segment.index,
        start_ms=segment.start_ms,
        end_ms=segment.end_ms,
        speaker=segment.speaker,
        text=text,
        source_text=segment.source_text,
    )
