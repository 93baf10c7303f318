"""Routes of uploads."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from services.gateway.dependencies import CallerDep, IdempotencyKey, ServicesDep, respond
from services.gateway.errors import problems
from services.gateway.uploads.schemas import CompleteIn, UploadedOut, UploadIn, UploadOut

router = APIRouter(prefix="/api/uploads", tags=["uploads"])

IDEMPOTENCY_PROBLEMS = (
    (400, "idempotency_key_malformed"),
    (409, "request_in_progress"),
    (422, "idempotency_key_reused"),
)


@router.post(
    "",
    status_code=201,
    response_model=UploadOut,
    summary="Begin an upload",
    responses=problems(
        (403, "storage_quota_exceeded"), (413, "file_too_large"), (422, "empty_file"), *IDEMPOTENCY_PROBLEMS
    ),
)
async def create_upload(wanted: UploadIn, caller: CallerDep, services: ServicesDep, key: IdempotencyKey) -> Response:
    """
    Announces a file and returns the signed requests that send it straight to the storage: one, or several parts
    where the file is large. Then call `complete`.
    """
    return respond(await services.uploads.create(caller.user_id, wanted, key))


@router.post(
    "/{upload_id}/complete",
    summary="Complete an upload",
    responses=problems(
        (404, "upload_not_found"),
        (409, "not_uploaded"),
        (409, "upload_closed"),
        (422, "size_mismatch"),
        (422, "checksum_mismatch"),
        (422, "content_mismatch"),
        (422, "invalid_parts"),
    ),
)
async def complete_upload(
    upload_id: UUID, caller: CallerDep, services: ServicesDep, sent: CompleteIn | None = None
) -> UploadedOut:
    """Verifies size, checksum and kind of content. A file that is not what was announced is deleted."""
    parts = (sent or CompleteIn()).uploaded()
    return UploadedOut.of(await services.uploads.complete(caller.user_id, upload_id, parts))
