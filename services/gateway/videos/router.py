"""Routes of videos."""

from __future__ import annotations

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from fastapi.responses import RedirectResponse

from onevoice_kit.db import transaction
from onevoice_kit.errors import PreconditionFailed
from services.gateway.dependencies import (
    AfterCommitDep,
    CallerDep,
    ConnectionDep,
    Cursor,
    EngineDep,
    IdempotencyKey,
    Limit,
    SettingsDep,
    StorageDep,
    part,
    respond,
)
from services.gateway.errors import problems
from services.gateway.jobs.router import SUBMIT_PROBLEMS, SubmissionDep, check_priority
from services.gateway.jobs.schemas import DubIn, JobOut
from services.gateway.schemas import Page, decode_cursor, encode_cursor
from services.gateway.uploads.removals import Removals
from services.gateway.uploads.router import IDEMPOTENCY_PROBLEMS, CompletionDep
from services.gateway.uploads.schemas import CompleteIn, TransferOut
from services.gateway.uploads.transfers import Transfers
from services.gateway.videos import repository, service
from services.gateway.videos.repository import Video, VideoStatus
from services.gateway.videos.schemas import SignedUrl, VideoCreated, VideoIn, VideoOut, VideoPatch
from services.gateway.videos.service import (
    VideoService,
    accept_video,
    change_video,
    load_ready,
    load_thumbnail,
    load_upload_of,
    load_video,
    reject_video,
)

router = APIRouter(prefix="/api/videos", tags=["videos"])

VideosDep = Annotated[VideoService, Depends(part(VideoService))]
_NOT_FOUND = (404, "video_not_found")
_NOT_READY = (409, "video_not_ready")


@router.post(
    "",
    status_code=201,
    response_model=VideoCreated,
    summary="Add a video",
    responses=problems(
        (403, "storage_quota_exceeded"), (413, "file_too_large"), (422, "empty_file"), *IDEMPOTENCY_PROBLEMS
    ),
)
async def create_video(wanted: VideoIn, caller: CallerDep, videos: VideosDep, key: IdempotencyKey) -> Response:
    """
    Announces a video and returns the signed requests that send its file straight to the storage. Then call
    `complete`.
    """
    return respond(await videos.create(caller.user_id, wanted, key))


@router.post(
    "/{video_id}/complete",
    summary="Complete a video",
    responses=problems(
        _NOT_FOUND,
        (409, "not_uploaded"),
        (409, "upload_closed"),
        (422, "size_mismatch"),
        (422, "checksum_mismatch"),
        (422, "invalid_parts"),
        (422, "not_media"),
        (422, "truncated_media"),
        (422, "no_audio"),
        (422, "forbidden_format"),
        (422, "too_many_streams"),
        (422, "picture_too_large"),
        (422, "too_long"),
    ),
)
async def complete_video(
    video_id: UUID,
    caller: CallerDep,
    engine: EngineDep,
    videos: VideosDep,
    completion: CompletionDep,
    sent: CompleteIn | None = None,
) -> VideoOut:
    """
    Verifies size and checksum, and looks what the file is. A file that cannot be dubbed is deleted, and its video is
    `rejected`. Repeating it is fine.
    """
    async with transaction(engine) as connection:
        video = await load_video(connection, caller.user_id, video_id)
        if video.status is VideoStatus.READY:
            return VideoOut.of(video)
        if video.status is VideoStatus.REJECTED:
            raise PreconditionFailed(video.rejection_message, reason=video.rejection_reason)
        upload = await load_upload_of(connection, caller.user_id, video_id)
    parts = (sent or CompleteIn()).uploaded()
    ready = await completion.run(
        upload,
        examine=lambda: videos.examine(upload, parts),
        accept=lambda connection, media: accept_video(connection, video, media),
        refuse=lambda connection, error: reject_video(connection, video, error),
    )
    return VideoOut.of(ready)


@router.get("", summary="List videos", responses=problems((422, "invalid_cursor")))
async def list_videos(
    caller: CallerDep, connection: ConnectionDep, cursor: Cursor = None, limit: Limit = 50
) -> Page[VideoOut]:
    """Your videos, newest first."""
    before = None if cursor is None else decode_cursor(cursor)
    found = await repository.list_videos(connection, caller.user_id, before, limit + 1)
    following = encode_cursor(found[limit - 1].id) if len(found) > limit else None
    return Page(items=[VideoOut.of(video) for video in found[:limit]], next_cursor=following)


@router.get("/{video_id}", summary="Get a video", responses=problems(_NOT_FOUND))
async def get_video(video_id: UUID, caller: CallerDep, connection: ConnectionDep) -> VideoOut:
    """A video and what is known of its file."""
    return VideoOut.of(await load_video(connection, caller.user_id, video_id))


@router.patch("/{video_id}", summary="Change a video", responses=problems(_NOT_FOUND))
async def update_video(video_id: UUID, changes: VideoPatch, caller: CallerDep, connection: ConnectionDep) -> VideoOut:
    """Changes the title or the language that is spoken; what is left out stays."""
    wanted = changes.model_dump(exclude_none=True)
    return VideoOut.of(await change_video(connection, caller.user_id, video_id, wanted))


@router.delete(
    "/{video_id}", status_code=204, summary="Delete a video", responses=problems(_NOT_FOUND, (409, "video_in_use"))
)
async def delete_video(
    video_id: UUID,
    caller: CallerDep,
    connection: ConnectionDep,
    after: AfterCommitDep,
    removals: Annotated[Removals, Depends(part(Removals))],
) -> None:
    """Deletes the video and its file for good. The results of its jobs stay."""
    removal = await service.delete_video(connection, caller.user_id, video_id)
    after.add(partial(removals.remove, removal))


@router.get(
    "/{video_id}/upload-url",
    summary="Get the upload requests again",
    responses=problems(_NOT_FOUND, (409, "upload_closed")),
)
async def get_upload_url(
    video_id: UUID, caller: CallerDep, engine: EngineDep, transfers: Annotated[Transfers, Depends(part(Transfers))]
) -> TransferOut:
    """The requests that send the file, for a client that has lost them."""
    async with transaction(engine) as connection:
        upload = await load_upload_of(connection, caller.user_id, video_id)
    return TransferOut.of_transfer(await transfers.sign(upload), upload.expires_at)


async def get_ready_video(video_id: UUID, caller: CallerDep, engine: EngineDep) -> Video:
    """A video that can be used, read before the route begins."""
    async with transaction(engine) as connection:
        return await load_ready(connection, caller.user_id, video_id)


ReadyVideo = Annotated[Video, Depends(get_ready_video)]


@router.get("/{video_id}/download-url", summary="Get a download address", responses=problems(_NOT_FOUND, _NOT_READY))
async def get_download_url(video: ReadyVideo, storage: StorageDep, settings: SettingsDep) -> SignedUrl:
    """An address that saves the original file."""
    expires_s = settings.download_expires_s
    return SignedUrl.of(await storage.sign_get(video.key, expires_s, filename=video.filename), expires_s)


@router.get("/{video_id}/stream-url", summary="Get a streaming address", responses=problems(_NOT_FOUND, _NOT_READY))
async def get_stream_url(video: ReadyVideo, storage: StorageDep, settings: SettingsDep) -> SignedUrl:
    """An address that plays the original file, with seeking, for two hours."""
    return SignedUrl.of(await storage.sign_get(video.key, settings.stream_expires_s), settings.stream_expires_s)


@router.get(
    "/{video_id}/thumbnail",
    status_code=307,
    response_class=RedirectResponse,
    summary="Get the thumbnail",
    responses=problems(_NOT_FOUND, (404, "thumbnail_not_found")),
)
async def get_thumbnail(
    video_id: UUID, caller: CallerDep, engine: EngineDep, storage: StorageDep, settings: SettingsDep
) -> RedirectResponse:
    """Redirects to the picture that the newest job took of the video."""
    async with transaction(engine) as connection:
        uri = await load_thumbnail(connection, caller.user_id, video_id)
    return RedirectResponse(await storage.sign_get(storage.key(uri), settings.download_expires_s))


@router.post(
    "/{video_id}/dub",
    status_code=202,
    response_model=JobOut,
    summary="Dub a video",
    responses=problems(_NOT_FOUND, *SUBMIT_PROBLEMS),
)
async def dub_video(
    video_id: UUID, wanted: DubIn, caller: CallerDep, submission: SubmissionDep, key: IdempotencyKey
) -> Response:
    """Reserves the credits and starts a job that dubs the video into the target languages."""
    check_priority(caller, wanted)
    return respond(await submission.submit(caller.user_id, video_id, wanted, key))
