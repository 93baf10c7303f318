"""Uploads: signed, sent by the client straight to the storage, verified when complete."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import PurePosixPath
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from onevoice_kit.errors import Conflict, NotFound
from onevoice_kit.storage.base import UploadedPart
from services.gateway.idempotency.service import Answer, Attempt, CreatingCall, Idempotency, Write, nothing
from services.gateway.uploads import repository
from services.gateway.uploads.removals import Removal, note_upload_removal
from services.gateway.uploads.repository import StorageQuota, Upload, UploadStatus
from services.gateway.uploads.schemas import UploadIn, UploadOut, transfer_fields
from services.gateway.uploads.transfers import Transfers

OPERATION = "create_upload"


class UploadService:
    """Uploads of one deployment."""

    def __init__(self, transfers: Transfers, idempotency: Idempotency, quota: StorageQuota) -> None:
        self._transfers = transfers
        self._idempotency = idempotency
        self._quota = quota

    async def create(self, user_id: UUID, wanted: UploadIn, key: str | None) -> Answer:
        """Begins an upload; answers with the requests that send the file."""
        self._transfers.check_size(wanted.size)
        call = CreatingCall(user_id, key, OPERATION, wanted.model_dump(mode="json"))
        return await self._idempotency.run(call, partial(self._prepare, user_id, wanted), look=nothing)

    async def _prepare(self, user_id: UUID, wanted: UploadIn, attempt: Attempt, _: None) -> Write:
        place = upload_key(user_id, attempt.resource_id, wanted.filename)
        upload = await self._transfers.prepare(attempt.resource_id, user_id, wanted.kind, wanted.announcement(), place)
        fields = transfer_fields(await self._transfers.sign(upload))
        body = UploadOut(
            id=upload.id, kind=upload.kind, status=upload.status, expires_at=upload.expires_at, **fields
        ).model_dump(mode="json")

        async def write(connection: AsyncConnection) -> Answer:
            await self._quota.check(connection, user_id, upload.size)
            await repository.add_upload(connection, upload)
            return Answer(201, body)

        return write

    async def examine(self, upload: Upload, parts: Sequence[UploadedPart]) -> None:
        """Verifies what was sent. Raises as `Transfers.receive` and `Transfers.check_content` do."""
        await self._transfers.receive(upload, parts)
        await self._transfers.check_content(upload)


async def load_upload(connection: AsyncConnection, user_id: UUID, upload_id: UUID) -> Upload:
    """An upload of this user that has not failed. Raises `NotFound` and `Conflict` (`upload_closed`)."""
    upload = await repository.get_upload(connection, user_id, upload_id)
    if upload is None:
        raise NotFound("There is no such upload.", reason="upload_not_found")
    if upload.status is UploadStatus.FAILED:
        raise Conflict("The upload has failed; begin another.", reason="upload_closed")
    return upload


async def accept_upload(connection: AsyncConnection, upload: Upload) -> Upload:
    """Completes an upload; `NotFound` where it was deleted meanwhile."""
    await repository.set_status(connection, upload.id, UploadStatus.COMPLETED)
    return await load_upload(connection, upload.user_id, upload.id)


async def refuse_upload(connection: AsyncConnection, upload: Upload) -> Removal:
    """Makes an upload a failed one, whose file is to be removed."""
    await repository.set_status(connection, upload.id, UploadStatus.FAILED)
    return await note_upload_removal(connection, upload)


def upload_key(user_id: UUID, upload_id: UUID, filename: str) -> str:
    """The key of an upload."""
    return f"users/{user_id}/uploads/{upload_id}/original{safe_suffix(filename)}"


def safe_suffix(filename: str) -> str:
    """The suffix of a file's name (`.mp4`) where it is a plain one, else nothing."""
    suffix = PurePosixPath(filename).suffix.lower()
    return suffix if suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) <= 10 else ""
