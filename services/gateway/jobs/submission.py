"""Submitting a job: check the request, reserve the credits, then write everything in one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from onevoice_jobs.keys import original_key, video_prefix
from onevoice_jobs.queries import get_job
from onevoice_jobs.submit import NewJob, insert_job
from onevoice_kit.errors import InvalidInput, PreconditionFailed
from onevoice_kit.media_exec import bad_media
from onevoice_kit.storage.base import ObjectRef, Storage
from onevoice_kit.telemetry import trace
from services.gateway.accounts import get_user
from services.gateway.catalogue.service import Catalogue
from services.gateway.clients.billing import BillingClient
from services.gateway.clients.mixer import Media, MixerClient
from services.gateway.idempotency.service import Answer, Attempt, CreatingCall, Idempotency, Write, nothing
from services.gateway.jobs.form import ReceivedFile
from services.gateway.jobs.schemas import DubbingJobCreated, DubIn, JobOut
from services.gateway.uploads.repository import StorageQuota
from services.gateway.uploads.service import safe_suffix
from services.gateway.videos.repository import Video, VideoStatus, add_video
from services.gateway.videos.service import load_ready

CREATE_JOB = "create_job"
CREATE_DUBBING_JOB = "create_dubbing_job"


@dataclass(frozen=True, slots=True)
class JobLimits:
    """The permitted requests of a job."""

    max_target_languages: int
    max_source_duration_s: int
    max_burn_in_pixels: int


class Submission:
    """Submits jobs. What a dead submission leaves behind is removed by `undo_job` and `undo_dubbing_job`."""

    def __init__(
        self,
        storage: Storage,
        catalogue: Catalogue,
        billing: BillingClient,
        mixer: MixerClient,
        idempotency: Idempotency,
        limits: JobLimits,
        quota: StorageQuota,
    ) -> None:
        self._storage = storage
        self._catalogue = catalogue
        self._billing = billing
        self._mixer = mixer
        self._idempotency = idempotency
        self._limits = limits
        self._quota = quota

    async def submit(self, user_id: UUID, video_id: UUID, wanted: DubIn, key: str | None) -> Answer:
        """Dubs a video that is ready. Raises what `_prepare` and `Catalogue.check` raise, and `video_not_ready`."""
        self._check_targets(wanted.target_languages)
        request = {**wanted.model_dump(mode="json"), "video_id": str(video_id)}

        async def look(connection: AsyncConnection) -> Video:
            return await load_ready(connection, user_id, video_id)

        async def prepare(attempt: Attempt, video: Video) -> Write:
            job = await self._prepare(attempt, video, wanted)

            async def write(connection: AsyncConnection) -> Answer:
                # Locked: the video is not deleted while a job for it is being written.
                await load_ready(connection, user_id, video_id, lock=True)
                await _insert(connection, job, attempt)
                view = await get_job(connection, user_id, attempt.resource_id)
                return Answer(202, JobOut.of(view).model_dump(mode="json"))

            return write

        return await self._idempotency.run(CreatingCall(user_id, key, CREATE_JOB, request), prepare, look)

    async def submit_file(self, user_id: UUID, file: ReceivedFile, wanted: DubIn, key: str | None) -> Answer:
        """Dubs a file that came with the request: it becomes a video, and the video a job."""
        self._check_targets(wanted.target_languages)
        if file.size == 0:
            raise PreconditionFailed("The file is empty.", reason="empty_file")
        request = {**wanted.model_dump(mode="json"), "filename": file.filename, "sha256": file.sha256}

        async def prepare(attempt: Attempt, _: None) -> Write:
            await self._catalogue.check(wanted.needs(wanted.source_language))
            place = original_key(user_id, attempt.resource_id, safe_suffix(file.filename))
            attempt.leaves_traces = True
            ref = await self._storage.put_file(place, file.path, file.content_type)
            video = _stored(user_id, attempt.resource_id, file, place, await self._mixer.probe(ref, user_id))
            job = await self._prepare(attempt, video, wanted)

            async def write(connection: AsyncConnection) -> Answer:
                await self._quota.check(connection, user_id, video.size)
                await add_video(connection, video)
                await _insert(connection, job, attempt)
                return Answer(202, DubbingJobCreated(job_id=attempt.resource_id).model_dump(mode="json"))

            return write

        return await self._idempotency.run(CreatingCall(user_id, key, CREATE_DUBBING_JOB, request), prepare, nothing)

    async def _prepare(self, attempt: Attempt, video: Video, wanted: DubIn) -> NewJob:
        """
        The job, with its credits reserved. Raises `InvalidInput` (`source_too_long`, `burn_in_too_large`),
        `QuotaExceeded` (`insufficient_credits`), what `check` raises.
        """
        duration_ms = video.duration_ms or 0
        self._check_duration(duration_ms)
        if wanted.burn_in_captions:
            self._check_picture(video)
        source_language = await self._catalogue.check(wanted.needs(wanted.source_language or video.source_language))
        quote = await self._billing.quote(duration_ms, len(wanted.target_languages))
        attempt.leaves_traces = True
        await self._billing.reserve(video.user_id, attempt.resource_id, quote.credits, job_id=attempt.resource_id)
        return NewJob(
            user_id=video.user_id,
            video_id=video.id,
            source=ObjectRef(self._storage.uri(video.key), video.sha256, video.size, video.content_type),
            filename=video.filename,
            target_languages=tuple(wanted.target_languages),
            duration_ms=duration_ms,
            quoted_credits=quote.credits,
            source_language=source_language,
            options=wanted.options(source_language),
            priority=wanted.priority_value,
            traceparent=trace.inject(),
        )

    def _check_targets(self, targets: Sequence[str]) -> None:
        limit = self._limits.max_target_languages
        if len(set(targets)) != len(targets):
            raise InvalidInput("A target language is named twice.", reason="duplicate_languages")
        if len(targets) > limit:
            raise InvalidInput(f"A job takes at most {limit} target languages.", reason="too_many_languages")

    def _check_duration(self, duration_ms: int) -> None:
        limit_s = self._limits.max_source_duration_s
        if duration_ms > limit_s * 1000:
            message = f"The video is longer than {limit_s} seconds."
            raise InvalidInput(message, reason="source_too_long", details={"max_seconds": str(limit_s)})

    def _check_picture(self, video: Video) -> None:
        limit = self._limits.max_burn_in_pixels
        if (video.width or 0) * (video.height or 0) > limit:
            raise bad_media("burn_in_too_large", limit_pixels=str(limit))


def undo_job(billing: BillingClient) -> Callable[[UUID, UUID], Awaitable[None]]:
    """Gives back what a dead submission had reserved."""

    async def undo(_user_id: UUID, reservation: UUID) -> None:
        await billing.release(reservation)

    return undo


def undo_dubbing_job(billing: BillingClient, storage: Storage) -> Callable[[UUID, UUID], Awaitable[None]]:
    """Gives back what a dead submission had reserved, and deletes the file that came with it."""

    async def undo(user_id: UUID, job_id: UUID) -> None:
        await billing.release(job_id)
        await storage.delete_prefix(video_prefix(user_id, job_id))

    return undo


async def _insert(connection: AsyncConnection, job: NewJob, attempt: Attempt) -> None:
    user = await get_user(connection, job.user_id)
    await insert_job(connection, replace(job, notify_email=user.email if user else None), attempt.resource_id)


def _stored(user_id: UUID, video_id: UUID, file: ReceivedFile, key: str, media: Media) -> Video:
    return Video(
        id=video_id,
        user_id=user_id,
        title=file.filename,
        filename=file.filename,
        status=VideoStatus.READY,
        key=key,
        content_type=file.content_type,
        size=file.size,
        sha256=file.sha256,
        duration_ms=media.duration_ms,
        width=media.width,
        height=media.height,
        has_audio=media.has_audio,
        source_language=media.language,
        rejection_reason=None,
        rejection_message=None,
        created_at=datetime.now(UTC),
    )
