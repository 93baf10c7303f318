"""Uploads: signed, sent by the client straight to the storage, verified when complete."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import PurePosixPath
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_kit.db import transaction
from onevoice_kit.errors import Conflict, NotFound, PreconditionFailed
from onevoice_kit.media_exec.formats import HEAD_BYTES
from onevoice_kit.storage.base import Storage, UploadedPart
from onevoice_kit.storage.file import FileStorage
from onevoice_kit.storage.signing import Grant
from services.gateway.idempotency.service import Answer, CreatingCall, Idempotency
from services.gateway.uploads import repository
from services.gateway.uploads.models import Upload, UploadStatus
from services.gateway.uploads.quota import StorageQuota
from services.gateway.uploads.removals import Removals, note_upload_removal
from services.gateway.uploads.schemas import UploadIn, UploadOut, transfer_fields
from services.gateway.uploads.sniff import fits, sniff
from services.gateway.uploads.transfers import Transfers

logger = logging.getLogger(__name__)

OPERATION = "create_upload"
_STALE_AFTER = timedelta(hours=24)


class UploadService:
    """Uploads of one deployment."""

    def __init__(
        self,
        engine: AsyncEngine,
        storage: Storage,
        transfers: Transfers,
        idempotency: Idempotency,
        quota: StorageQuota,
        removals: Removals,
    ) -> None:
        self._engine = engine
        self._storage = storage
        self._transfers = transfers
        self._idempotency = idempotency
        self._quota = quota
        self._removals = removals

    async def create(self, user_id: UUID, wanted: UploadIn, key: str | None) -> Answer:
        """Begins an upload; answers with the requests that send the file."""
        self._transfers.check_size(wanted.size)
        call = CreatingCall(user_id, key, OPERATION, wanted.model_dump(mode="json"))
        async with self._idempotency.attempt(call) as attempt:
            if attempt.answer is not None:
                return attempt.answer
            place = upload_key(user_id, attempt.resource_id, wanted.filename)
            upload = await self._transfers.prepare(
                attempt.resource_id, user_id, wanted.kind, wanted.announcement(), place
            )
            transfer = await self._transfers.sign(upload)
            body = UploadOut(
                id=upload.id,
                kind=upload.kind,
                status=upload.status,
                expires_at=upload.expires_at,
                **transfer_fields(transfer),
            )
            async with transaction(self._engine) as connection:
                await self._quota.check(connection, user_id, upload.size)
                await repository.add_upload(connection, upload)
                return await attempt.finish(connection, Answer(201, body.model_dump(mode="json")))

    async def complete(self, user_id: UUID, upload_id: UUID, parts: Sequence[UploadedPart]) -> Upload:
        """
        Verifies what was sent; repeating it is fine. Raises as `Transfers.receive` does, and `PreconditionFailed`
        (`content_mismatch`) where the content cannot be what it was uploaded for; the file is deleted then.
        """
        upload = await self._get(user_id, upload_id)
        if upload.status is UploadStatus.COMPLETED:
            return upload
        if upload.status is UploadStatus.FAILED:
            raise Conflict("The upload has failed; begin another.", reason="upload_closed")
        try:
            await self._transfers.receive(upload, parts)
            await self._check_content(upload)
        except PreconditionFailed:
            async with transaction(self._engine) as connection:
                await repository.set_status(connection, upload.id, UploadStatus.FAILED)
                removal = await note_upload_removal(connection, upload)
            await self._removals.remove(removal)
            raise
        async with transaction(self._engine) as connection:
            found = await repository.set_status(connection, upload.id, UploadStatus.COMPLETED)
        if not found:
            await self._transfers.drop(upload)
            raise _unknown()
        return replace(upload, status=UploadStatus.COMPLETED)

    async def receive(self, storage: FileStorage, grant: Grant, body: AsyncIterable[bytes]) -> str:
        """
        Stores the body of a signed request and returns its etag; `Conflict` (`upload_closed`) where the upload or its
        video has been deleted, refused or completed. Nothing is kept then.
        """
        if await self._status_of_key(grant.key) is not UploadStatus.PENDING:
            raise _closed()
        etag = await storage.receive(grant, body)
        # Again, now that the object is there: a deletion meanwhile has deleted the row first, then what was stored.
        if await self._status_of_key(grant.key) in (None, UploadStatus.FAILED):
            await storage.delete(grant.key)
            raise _closed()
        return etag

    async def remove_stale(self) -> None:
        """Deletes what was never completed and whose time is over."""
        async with transaction(self._engine) as connection:
            stale = await repository.take_stale_uploads(connection, _STALE_AFTER)
            noted = [await note_upload_removal(connection, upload) for upload in stale]
        for upload, removal in zip(stale, noted, strict=True):
            logger.info("dropped an abandoned upload", extra={"upload_id": str(upload.id)})
            await self._removals.remove(removal)

    async def _check_content(self, upload: Upload) -> None:
        head = b""
        async for chunk in self._storage.stream(upload.key, HEAD_BYTES):
            head = chunk[:HEAD_BYTES]
            break
        found = sniff(head)
        if fits(upload.kind, found):
            return
        message = f"The file cannot be used as {upload.kind.value.replace('_', ' ')}: it looks like {found}."
        raise PreconditionFailed(message, reason="content_mismatch", details={"detected": found})

    async def _status_of_key(self, key: str) -> UploadStatus | None:
        async with transaction(self._engine) as connection:
            return await repository.status_of_key(connection, key)

    async def _get(self, user_id: UUID, upload_id: UUID) -> Upload:
        async with transaction(self._engine) as connection:
            upload = await repository.get_upload(connection, user_id, upload_id)
        if upload is None:
            raise _unknown()
        return upload


def _closed() -> Conflict:
    return Conflict("The upload is no longer open.", reason="upload_closed")


def upload_key(user_id: UUID, upload_id: UUID, filename: str) -> str:
    """The key of an upload."""
    return f"users/{user_id}/uploads/{upload_id}/original{safe_suffix(filename)}"


def safe_suffix(filename: str) -> str:
    """The suffix of a file's name (`.mp4`) where it is a plain one, else nothing."""
    suffix = PurePosixPath(filename).suffix.lower()
    return suffix if suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) <= 10 else ""


def _unknown() -> NotFound:
    return NotFound("There is no such upload.", reason="upload_not_found")
