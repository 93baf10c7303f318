"""SQL for uploads."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.gateway.uploads.models import Upload, UploadKind, UploadStatus, uploads

_COLUMNS = [uploads.c[name] for name in Upload.__dataclass_fields__]


async def add_upload(connection: AsyncConnection, upload: Upload) -> None:
    """Stores a new upload."""
    values = {name: getattr(upload, name) for name in Upload.__dataclass_fields__}
    await connection.execute(insert(uploads).values(values))


async def get_upload(connection: AsyncConnection, user_id: UUID, upload_id: UUID) -> Upload | None:
    """An upload of this user."""
    statement = select(*_COLUMNS).where(uploads.c.id == upload_id, uploads.c.user_id == user_id)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _upload(row)


async def set_status(connection: AsyncConnection, upload_id: UUID, status: UploadStatus) -> bool:
    """Notes how an upload ended; False where it is gone."""
    done = func.now() if status is UploadStatus.COMPLETED else None
    statement = update(uploads).where(uploads.c.id == upload_id).values(status=status, completed_at=done)
    return (await connection.execute(statement)).rowcount == 1


async def status_of_key(connection: AsyncConnection, key: str) -> UploadStatus | None:
    """The status of the upload whose file lies under this key; None where there is none."""
    status = (await connection.execute(select(uploads.c.status).where(uploads.c.key == key))).scalar_one_or_none()
    return None if status is None else UploadStatus(status)


async def take_stale_uploads(connection: AsyncConnection, age: timedelta, limit: int = 50) -> list[Upload]:
    """Deletes and returns uploads whose time was over `age` ago and that were never completed."""
    stale = (
        select(uploads.c.id)
        .where(uploads.c.status == UploadStatus.PENDING, uploads.c.expires_at < func.now() - age)
        .order_by(uploads.c.expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    statement = delete(uploads).where(uploads.c.id.in_(stale)).returning(*_COLUMNS)
    return [_upload(row) for row in await connection.execute(statement)]


async def delete_upload(connection: AsyncConnection, upload_id: UUID) -> None:
    """Forgets an upload."""
    await connection.execute(delete(uploads).where(uploads.c.id == upload_id))


def _upload(row: Row[*tuple[Any, ...]]) -> Upload:
    upload = Upload(*row)
    return replace(upload, kind=UploadKind(upload.kind), status=UploadStatus(upload.status))
