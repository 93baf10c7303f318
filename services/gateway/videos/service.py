"""Videos: announced, uploaded, probed, then ready to be dubbed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs.keys import original_key, video_prefix
from onevoice_jobs.queries import has_open_jobs, latest_thumbnail
from onevoice_kit.db import transaction
from onevoice_kit.errors import Conflict, Kind, NotFound, OneVoiceError, PreconditionFailed
from onevoice_kit.storage.base import ObjectRef, Storage, UploadedPart
from services.gateway.clients.mixer import MixerClient
from services.gateway.idempotency.service import Answer, Attempt, CreatingCall, Idempotency
from services.gateway.uploads import repository as upload_repository
from services.gateway.uploads.models import Upload, UploadKind, UploadStatus
from services.gateway.uploads.quota import StorageQuota
from services.gateway.uploads.removals import Removals, note_removal
from services.gateway.uploads.schemas import transfer_fields
from services.gateway.uploads.service import safe_suffix
from services.gateway.uploads.transfers import Transfer, Transfers
from services.gateway.videos import repository
from services.gateway.videos.models import Video, VideoStatus
from services.gateway.videos.schemas import VideoCreated, VideoIn, VideoOut

OPERATION = "create_video"
_BAD_MEDIA = (Kind.INVALID_INPUT, Kind.PRECONDITION)


class VideoService:
    """Videos of one deployment."""

    def __init__(
        self,
        engine: AsyncEngine,
        storage: Storage,
        transfers: Transfers,
        mixer: MixerClient,
        idempotency: Idempotency,
        quota: StorageQuota,
        removals: Removals,
    ) -> None:
        self._engine = engine
        self._storage = storage
        self._transfers = transfers
        self._mixer = mixer
        self._idempotency = idempotency
        self._quota = quota
        self._removals = removals

    async def create(self, user_id: UUID, wanted: VideoIn, key: str | None) -> Answer:
        """Announces a video; answers with the requests that send its file."""
        self._transfers.check_size(wanted.size)
        call = CreatingCall(user_id, key, OPERATION, wanted.model_dump(mode="json"))
        async with self._idempotency.attempt(call) as attempt:
            if attempt.answer is not None:
                return attempt.answer
            return await self._create(user_id, wanted, attempt)

    async def _create(self, user_id: UUID, wanted: VideoIn, attempt: Attempt) -> Answer:
        video_id = attempt.resource_id
        place = original_key(user_id, video_id, safe_suffix(wanted.filename))
        upload = await self._transfers.prepare(video_id, user_id, UploadKind.VIDEO, wanted.announcement(), place)
        transfer = await self._transfers.sign(upload)
        video = _announced(upload, wanted)
        body = VideoCreated(
            video=VideoOut.of(video), expires_at=upload.expires_at, **transfer_fields(transfer)
        ).model_dump(mode="json")
        async with transaction(self._engine) as connection:
            await self._quota.check(connection, user_id, upload.size)
            await upload_repository.add_upload(connection, upload)
            await repository.add_video(connection, video)
            return await attempt.finish(connection, Answer(201, body))

    async def complete(self, user_id: UUID, video_id: UUID, parts: Sequence[UploadedPart]) -> Video:
        """
        Verifies and probes what was sent; repeating it is fine. Bad media make the video `rejected`, delete the
        file and raise `PreconditionFailed` with the reason; while a service does not answer nothing is decided.
        """
        video = await self.get(user_id, video_id)
        if video.status is VideoStatus.READY:
            return video
        if video.status is VideoStatus.REJECTED:
            raise PreconditionFailed(video.rejection_message, reason=video.rejection_reason)
        upload = await self._upload_of(video)
        try:
            ref = await self._transfers.receive(upload, parts)
        except PreconditionFailed as error:
            await self._reject(video, error)
            raise
        return await self.accept(video, ref)

    async def accept(self, video: Video, ref: ObjectRef) -> Video:
        """Probes a verified file and makes its video `ready`, or `rejected` in the cases of `complete`."""
        try:
            media = await self._mixer.probe(ref, video.user_id)
        except OneVoiceError as error:
            if error.kind not in _BAD_MEDIA:
                raise
            await self._reject(video, error)
            raise PreconditionFailed(error.message, reason=error.reason, details=error.details) from error
        values = {
            "status": VideoStatus.READY,
            "duration_ms": media.duration_ms,
            "width": media.width,
            "height": media.height,
            "has_audio": media.has_audio,
            "source_language": video.source_language or media.language,
        }
        async with transaction(self._engine) as connection:
            ready = await repository.update_video(connection, video.user_id, video.id, **values)
            await upload_repository.set_status(connection, video.id, UploadStatus.COMPLETED)
        if ready is None:
            await self._storage.delete(video.key)
            raise unknown_video()
        return ready

    async def get(self, user_id: UUID, video_id: UUID) -> Video:
        """A video of this user."""
        async with transaction(self._engine) as connection:
            video = await repository.get_video(connection, user_id, video_id)
        if video is None:
            raise unknown_video()
        return video

    async def page(self, user_id: UUID, before: UUID | None, limit: int) -> list[Video]:
        """Videos of this user, newest first."""
        async with transaction(self._engine) as connection:
            return await repository.list_videos(connection, user_id, before, limit)

    async def update(self, user_id: UUID, video_id: UUID, changes: dict[str, Any]) -> Video:
        """Changes a video's title or language."""
        if not changes:
            return await self.get(user_id, video_id)
        async with transaction(self._engine) as connection:
            video = await repository.update_video(connection, user_id, video_id, **changes)
        if video is None:
            raise unknown_video()
        return video

    async def delete(self, user_id: UUID, video_id: UUID) -> None:
        """Deletes a video and its file; `Conflict` (`video_in_use`) while a job works on it."""
        async with transaction(self._engine) as connection:
            video = await repository.get_video(connection, user_id, video_id, lock=True)
            if video is None:
                raise unknown_video()
            if await has_open_jobs(connection, video_id):
                raise Conflict("A job is working on the video.", reason="video_in_use")
            upload = await upload_repository.get_upload(connection, user_id, video_id)
            await repository.delete_video(connection, video_id)
            await upload_repository.delete_upload(connection, video_id)
            removal = await note_removal(connection, video_prefix(user_id, video_id), upload)
        await self._removals.remove(removal)

    async def upload_requests(self, user_id: UUID, video_id: UUID) -> tuple[Upload, Transfer]:
        """The requests that send the file, once more."""
        upload = await self._upload_of(await self.get(user_id, video_id))
        return upload, await self._transfers.sign(upload)

    async def signed_url(self, user_id: UUID, video_id: UUID, expires_s: int, *, save: bool) -> tuple[str, datetime]:
        """An address of the file and when it expires; with `save` the browser saves it under the video's name."""
        video = await self.get(user_id, video_id)
        if video.status is not VideoStatus.READY:
            raise video_not_ready(video)
        url = await self._storage.sign_get(video.key, expires_s, filename=video.filename if save else None)
        return url, datetime.now(UTC) + timedelta(seconds=expires_s)

    async def duration_ms(self, user_id: UUID, video_id: UUID) -> int:
        """Length of a video that is ready."""
        video = await self.get(user_id, video_id)
        if video.status is not VideoStatus.READY:
            raise video_not_ready(video)
        return video.duration_ms or 0

    async def thumbnail_url(self, user_id: UUID, video_id: UUID, expires_s: int) -> str:
        """An address of the picture that the newest job took."""
        await self.get(user_id, video_id)
        async with transaction(self._engine) as connection:
            uri = await latest_thumbnail(connection, user_id, video_id)
        if uri is None:
            raise NotFound("No job has taken a picture of the video yet.", reason="thumbnail_not_found")
        return await self._storage.sign_get(self._storage.key(uri), expires_s)

    async def _upload_of(self, video: Video) -> Upload:
        async with transaction(self._engine) as connection:
            upload = await upload_repository.get_upload(connection, video.user_id, video.id)
        if upload is None:
            raise Conflict("The upload is no longer open.", reason="upload_closed")
        return upload

    async def _reject(self, video: Video, why: OneVoiceError) -> None:
        values = {
            "status": VideoStatus.REJECTED,
            "rejection_reason": why.reason,
            "rejection_message": why.message,
        }
        async with transaction(self._engine) as connection:
            await repository.update_video(connection, video.user_id, video.id, **values)
            await upload_repository.set_status(connection, video.id, UploadStatus.FAILED)
            upload = await upload_repository.get_upload(connection, video.user_id, video.id)
            removal = await note_removal(connection, video_prefix(video.user_id, video.id), upload)
        await self._removals.remove(removal)


def _announced(upload: Upload, wanted: VideoIn) -> Video:
    return Video(
        id=upload.id,
        user_id=upload.user_id,
        title=wanted.title or upload.filename,
        filename=upload.filename,
        status=VideoStatus.UPLOADING,
        key=upload.key,
        content_type=upload.content_type,
        size=upload.size,
        sha256=upload.sha256,
        duration_ms=None,
        width=None,
        height=None,
        has_audio=None,
        source_language=wanted.source_language,
        rejection_reason=None,
        rejection_message=None,
        created_at=datetime.now(UTC),
    )


def unknown_video() -> NotFound:
    """The answer for videos that are not there, or another user's."""
    return NotFound("There is no such video.", reason="video_not_found")


def video_not_ready(video: Video) -> Conflict:
    """The answer while a video cannot be used."""
    return Conflict(
        f"The video is {video.status}.", reason="video_not_ready", details={"video_status": video.status.value}
    )
