"""Videos: announced, uploaded, probed, then ready to be dubbed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from onevoice_jobs.keys import original_key, video_prefix
from onevoice_jobs.queries import has_open_jobs, latest_thumbnail
from onevoice_kit.errors import Conflict, Kind, NotFound, OneVoiceError, PreconditionFailed
from onevoice_kit.storage.base import UploadedPart
from services.gateway.clients.mixer import Media, MixerClient
from services.gateway.idempotency.service import Answer, Attempt, CreatingCall, Idempotency, Write, nothing
from services.gateway.uploads import repository as upload_repository
from services.gateway.uploads.removals import Removal, note_removal
from services.gateway.uploads.repository import StorageQuota, Upload, UploadKind, UploadStatus
from services.gateway.uploads.schemas import transfer_fields
from services.gateway.uploads.service import safe_suffix
from services.gateway.uploads.transfers import Transfers
from services.gateway.videos import repository
from services.gateway.videos.repository import Video, VideoStatus
from services.gateway.videos.schemas import VideoCreated, VideoIn, VideoOut

OPERATION = "create_video"
_BAD_MEDIA = (Kind.INVALID_INPUT, Kind.PRECONDITION)


class VideoService:
    """Videos of one deployment, as far as other services are needed."""

    def __init__(self, transfers: Transfers, mixer: MixerClient, idempotency: Idempotency, quota: StorageQuota) -> None:
        self._transfers = transfers
        self._mixer = mixer
        self._idempotency = idempotency
        self._quota = quota

    async def create(self, user_id: UUID, wanted: VideoIn, key: str | None) -> Answer:
        """Announces a video; answers with the requests that send its file."""
        self._transfers.check_size(wanted.size)
        call = CreatingCall(user_id, key, OPERATION, wanted.model_dump(mode="json"))
        return await self._idempotency.run(call, partial(self._prepare, user_id, wanted), look=nothing)

    async def _prepare(self, user_id: UUID, wanted: VideoIn, attempt: Attempt, _: None) -> Write:
        video_id = attempt.resource_id
        place = original_key(user_id, video_id, safe_suffix(wanted.filename))
        upload = await self._transfers.prepare(video_id, user_id, UploadKind.VIDEO, wanted.announcement(), place)
        fields = transfer_fields(await self._transfers.sign(upload))
        video = _announced(upload, wanted)
        body = VideoCreated(video=VideoOut.of(video), expires_at=upload.expires_at, **fields).model_dump(mode="json")

        async def write(connection: AsyncConnection) -> Answer:
            await self._quota.check(connection, user_id, upload.size)
            await upload_repository.add_upload(connection, upload)
            await repository.add_video(connection, video)
            return Answer(201, body)

        return write

    async def examine(self, upload: Upload, parts: Sequence[UploadedPart]) -> Media:
        """
        Verifies and probes what was sent. Bad media raise `PreconditionFailed` with the reason; while a service does
        not answer nothing is decided.
        """
        ref = await self._transfers.receive(upload, parts)
        try:
            return await self._mixer.probe(ref, upload.user_id)
        except OneVoiceError as error:
            if error.kind not in _BAD_MEDIA:
                raise
            raise PreconditionFailed(error.message, reason=error.reason, details=error.details) from error


async def load_video(connection: AsyncConnection, user_id: UUID, video_id: UUID) -> Video:
    """A video of this user; `NotFound` (`video_not_found`)."""
    return _found(await repository.get_video(connection, user_id, video_id))


async def load_ready(connection: AsyncConnection, user_id: UUID, video_id: UUID, *, lock: bool = False) -> Video:
    """A video that can be used, else `Conflict` (`video_not_ready`); with `lock` it is not deleted meanwhile."""
    video = _found(await repository.get_video(connection, user_id, video_id, lock=lock))
    if video.status is not VideoStatus.READY:
        details = {"video_status": video.status.value}
        raise Conflict(f"The video is {video.status}.", reason="video_not_ready", details=details)
    return video


async def load_upload_of(connection: AsyncConnection, user_id: UUID, video_id: UUID) -> Upload:
    """The upload of a video of this user; `Conflict` (`upload_closed`) where it is over."""
    await load_video(connection, user_id, video_id)
    upload = await upload_repository.get_upload(connection, user_id, video_id)
    if upload is None:
        raise Conflict("The upload is no longer open.", reason="upload_closed")
    return upload


async def load_thumbnail(connection: AsyncConnection, user_id: UUID, video_id: UUID) -> str:
    """The URI of the picture that the newest job took; `NotFound` (`thumbnail_not_found`)."""
    await load_video(connection, user_id, video_id)
    uri = await latest_thumbnail(connection, user_id, video_id)
    if uri is None:
        raise NotFound("No job has taken a picture of the video yet.", reason="thumbnail_not_found")
    return uri


async def change_video(connection: AsyncConnection, user_id: UUID, video_id: UUID, changes: dict[str, Any]) -> Video:
    """Changes a video's title or language."""
    if not changes:
        return await load_video(connection, user_id, video_id)
    return _found(await repository.update_video(connection, user_id, video_id, **changes))


async def accept_video(connection: AsyncConnection, video: Video, media: Media) -> Video:
    """Makes a video `ready`; `NotFound` where it was deleted meanwhile."""
    values = {
        "status": VideoStatus.READY,
        "duration_ms": media.duration_ms,
        "width": media.width,
        "height": media.height,
        "has_audio": media.has_audio,
        "source_language": video.source_language or media.language,
    }
    ready = await repository.update_video(connection, video.user_id, video.id, **values)
    await upload_repository.set_status(connection, video.id, UploadStatus.COMPLETED)
    return _found(ready)


async def reject_video(connection: AsyncConnection, video: Video, why: OneVoiceError) -> Removal:
    """Makes a video `rejected`, whose file is to be removed."""
    values = {"status": VideoStatus.REJECTED, "rejection_reason": why.reason, "rejection_message": why.message}
    await repository.update_video(connection, video.user_id, video.id, **values)
    await upload_repository.set_status(connection, video.id, UploadStatus.FAILED)
    upload = await upload_repository.get_upload(connection, video.user_id, video.id)
    return await note_removal(connection, video_prefix(video.user_id, video.id), upload)


async def delete_video(connection: AsyncConnection, user_id: UUID, video_id: UUID) -> Removal:
    """Deletes a video, whose file is to be removed; `Conflict` (`video_in_use`) while a job works on it."""
    _found(await repository.get_video(connection, user_id, video_id, lock=True))
    if await has_open_jobs(connection, video_id):
        raise Conflict("A job is working on the video.", reason="video_in_use")
    upload = await upload_repository.get_upload(connection, user_id, video_id)
    await repository.delete_video(connection, video_id)
    await upload_repository.delete_upload(connection, video_id)
    return await note_removal(connection, video_prefix(user_id, video_id), upload)


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


def _found(video: Video | None) -> Video:
    if video is None:
        raise NotFound("There is no such video.", reason="video_not_found")
    return video
