"""Routes of uploads, and the end of every upload."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from onevoice_kit.db import transaction
from onevoice_kit.errors import NotFound, PreconditionFailed
from services.gateway.dependencies import CallerDep, EngineDep, IdempotencyKey, part, respond
from services.gateway.errors import problems
from services.gateway.uploads.removals import Removal, Removals
from services.gateway.uploads.repository import Upload, UploadStatus
from services.gateway.uploads.schemas import CompleteIn, UploadedOut, UploadIn, UploadOut
from services.gateway.uploads.service import UploadService, accept_upload, load_upload, refuse_upload
from services.gateway.uploads.transfers import Transfers

F = TypeVar("F")
T = TypeVar("T")

router = APIRouter(prefix="/api/uploads", tags=["uploads"])

UploadsDep = Annotated[UploadService, Depends(part(UploadService))]

IDEMPOTENCY_PROBLEMS = (
    (400, "idempotency_key_malformed"),
    (409, "request_in_progress"),
    (422, "idempotency_key_reused"),
)


@dataclass(frozen=True, slots=True)
class Completion:
    """Ends an upload: other services examine the file, then one transaction stores what they found."""

    engine: AsyncEngine
    transfers: Transfers
    removals: Removals

    async def run(
        self,
        upload: Upload,
        *,
        examine: Callable[[], Awaitable[F]],
        accept: Callable[[AsyncConnection, F], Awaitable[T]],
        refuse: Callable[[AsyncConnection, PreconditionFailed], Awaitable[Removal]],
    ) -> T:
        """
        The result of `accept`. A file with which `examine` fails (`PreconditionFailed`) is refused and removed, one
        whose row is gone by then dropped.
        """
        try:
            found = await examine()
        except PreconditionFailed as error:
            async with transaction(self.engine) as connection:
                removal = await refuse(connection, error)
            await self.removals.remove(removal)
            raise
        try:
            async with transaction(self.engine) as connection:
                return await accept(connection, found)
        except NotFound:
            await self.transfers.drop(upload)
            raise


async def get_completion(
    engine: EngineDep,
    transfers: Annotated[Transfers, Depends(part(Transfers))],
    removals: Annotated[Removals, Depends(part(Removals))],
) -> Completion:
    """The end of uploads and of videos."""
    return Completion(engine, transfers, removals)


CompletionDep = Annotated[Completion, Depends(get_completion)]


@router.post(
    "",
    status_code=201,
    response_model=UploadOut,
    summary="Begin an upload",
    responses=problems(
        (403, "storage_quota_exceeded"), (413, "file_too_large"), (422, "empty_file"), *IDEMPOTENCY_PROBLEMS
    ),
)
async def create_upload(wanted: UploadIn, caller: CallerDep, uploads: UploadsDep, key: IdempotencyKey) -> Response:
    """
    Announces a file and returns the signed requests that send it straight to the storage: one, or several parts
    where the file is large. Then call `complete`.
    """
    return respond(await uploads.create(caller.user_id, wanted, key))


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
    upload_id: UUID,
    caller: CallerDep,
    engine: EngineDep,
    uploads: UploadsDep,
    completion: CompletionDep,
    sent: CompleteIn | None = None,
) -> UploadedOut:
    """Verifies size, checksum and kind of content. A file that is not what was announced is deleted."""
    async with transaction(engine) as connection:
        upload = await load_upload(connection, caller.user_id, upload_id)
    if upload.status is not UploadStatus.COMPLETED:
        parts = (sent or CompleteIn()).uploaded()
        upload = await completion.run(
            upload,
            examine=lambda: uploads.examine(upload, parts),
            accept=lambda connection, _: accept_upload(connection, upload),
            refuse=lambda connection, _: refuse_upload(connection, upload),
        )
    return UploadedOut.of(upload)
