"""Routes of videos."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from services.gateway.dependencies import CallerDep, Cursor, IdempotencyKey, Limit, ServicesDep, respond
from services.gateway.errors import problems
from services.gateway.jobs.router import SUBMIT_PROBLEMS, check_priority
from services.gateway.jobs.schemas import DubIn, JobOut
from services.gateway.pagination import decode_cursor, encode_cursor
from services.gateway.schemas import Page
from services.gateway.uploads.router import IDEMPOTENCY_PROBLEMS
from services.gateway.uploads.schemas import CompleteIn, TransferOut
from services.gateway.videos.schemas import SignedUrl, VideoCreated, VideoIn, VideoOut, VideoPatch

router = APIRouter(prefix="/api/videos", tags=["videos"])

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
async def create_video(wanted: VideoIn, caller: CallerDep, services: ServicesDep, key: IdempotencyKey) -> Response:
    """
    Announces a video and returns the signed requests that send its file straight to the storage. Then call
    `complete`.
    """
    return respond(await services.videos.create(caller.user_id, wanted, key))


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
    video_id: UUID, caller: CallerDep, services: ServicesDep, sent: CompleteIn | None = None
) -> VideoOut:
    """
    Verifies size and checksum, and looks what the file is. A file that cannot be dubbed is deleted, and its video is
    `rejected`.
    """
    parts = (sent or CompleteIn()).uploaded()
    return VideoOut.of(await services.videos.complete(caller.user_id, video_id, parts))


@router.get("", summary="List videos", responses=problems((422, "invalid_cursor")))
async def list_videos(
    caller: CallerDep, services: ServicesDep, cursor: Cursor = None, limit: Limit = 50
) -> Page[VideoOut]:
    """Your videos, newest first."""
    before = None if cursor is None else decode_cursor(cursor)
    found = await services.videos.page(caller.user_id, before, limit + 1)
    following = encode_cursor(found[limit - 1].id) if len(found) > limit else None
    return Page(items=[VideoOut.of(video) for video in found[:limit]], next_cursor=following)


@router.get("/{video_id}", summary="Get a video", responses=problems(_NOT_FOUND))
async def get_video(video_id: UUID, caller: CallerDep, services: ServicesDep) -> VideoOut:
    """A video and what is known of its file."""
    return VideoOut.of(await services.videos.get(caller.user_id, video_id))


@router.patch("/{video_id}", summary="Change a video", responses=problems(_NOT_FOUND))
async def update_video(video_id: UUID, changes: VideoPatch, caller: CallerDep, services: ServicesDep) -> VideoOut:
    """Changes the title or the language that is spoken; what is left out stays."""
    wanted = changes.model_dump(exclude_none=True)
    return VideoOut.of(await services.videos.update(caller.user_id, video_id, wanted))


@router.delete(
    "/{video_id}", status_code=204, summary="Delete a video", responses=problems(_NOT_FOUND, (409, "video_in_use"))
)
async def delete_video(video_id: UUID, caller: CallerDep, services: ServicesDep) -> None:
    """Deletes the video and its file for good. The results of its jobs stay."""
    await services.videos.delete(caller.user_id, video_id)


@router.get(
    "/{video_id}/upload-url",
    summary="Get the upload requests again",
    responses=problems(_NOT_FOUND, (409, "upload_closed")),
)
async def get_upload_url(video_id: UUID, caller: CallerDep, services: ServicesDep) -> TransferOut:
    """The requests that send the file, for a client that has lost them."""
    upload, transfer = await services.videos.upload_requests(caller.user_id, video_id)
    return TransferOut.of_transfer(transfer, upload.expires_at)


@router.get("/{video_id}/download-url", summary="Get a download address", responses=problems(_NOT_FOUND, _NOT_READY))
async def get_download_url(video_id: UUID, caller: CallerDep, services: ServicesDep) -> SignedUrl:
    """An address that saves the original file."""
    expires_s = services.settings.download_expires_s
    url, expires_at = await services.videos.signed_url(caller.user_id, video_id, expires_s, save=True)
    return SignedUrl(url=url, expires_at=expires_at)


@router.get("/{video_id}/stream-url", summary="Get a streaming address", responses=problems(_NOT_FOUND, _NOT_READY))
async def get_stream_url(video_id: UUID, caller: CallerDep, services: ServicesDep) -> SignedUrl:
    """An address that plays the original file, with seeking, for two hours."""
    expires_s = services.settings.stream_expires_s
    url, expires_at = await services.videos.signed_url(caller.user_id, video_id, expires_s, save=False)
    return SignedUrl(url=url, expires_at=expires_at)


@router.get(
    "/{video_id}/thumbnail",
    status_code=307,
    response_class=RedirectResponse,
    summary="Get the thumbnail",
    responses=problems(_NOT_FOUND, (404, "thumbnail_not_found")),
)
async def get_thumbnail(video_id: UUID, caller: CallerDep, services: ServicesDep) -> RedirectResponse:
    """Redirects to the picture that the newest job took of the video."""
    expires_s = services.settings.download_expires_s
    return RedirectResponse(await services.videos.thumbnail_url(caller.user_id, video_id, expires_s))


@router.post(
    "/{video_id}/dub",
    status_code=202,
    response_model=JobOut,
    summary="Dub a video",
    responses=problems(_NOT_FOUND, *SUBMIT_PROBLEMS),
)
async def dub_video(
    video_id: UUID, wanted: DubIn, caller: CallerDep, services: ServicesDep, key: IdempotencyKey
) -> Response:
    """Reserves the credits and starts a job that dubs the video into the target languages."""
    check_priority(caller, wanted)
    return respond(await services.submission.submit(caller.user_id, video_id, wanted, key))
