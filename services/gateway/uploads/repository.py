"""The table of uploads, its SQL, and the storage quota of a user."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Row,
    Table,
    Text,
    Uuid,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from onevoice_kit.errors import QuotaExceeded
from services.gateway.accounts import users
from services.gateway.database import metadata
from services.gateway.videos.repository import VideoStatus, videos


class UploadKind(enum.StrEnum):
    """The purpose of a file."""

    VIDEO = "video"
    VOICE = "voice"
    BACKGROUND = "background"
    SUBTITLE = "subtitle"
    AVATAR = "avatar"
    VOICE_SAMPLE = "voice_sample"


class UploadStatus(enum.StrEnum):
    """The state of an upload."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"


uploads = Table(
    "uploads",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("multipart_id", Text),
    Column("part_size", BigInteger),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("completed_at", DateTime(timezone=True)),
    Index(None, "user_id"),
    Index(None, "key"),
    Index("ix_uploads_pending_expires_at", "expires_at", postgresql_where="status = 'pending'"),
)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file a client may send, or has sent. `size` and `sha256` are what it announced."""

    id: UUID
    user_id: UUID
    kind: UploadKind
    status: UploadStatus
    filename: str
    content_type: str
    size: int
    sha256: str
    key: str
    multipart_id: str | None
    part_size: int | None
    expires_at: datetime


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


class StorageQuota:
    """Refuses files that would make a user exceed the quota. Results of jobs are not counted: they are paid for."""

    def __init__(self, default_bytes: int) -> None:
        """`default_bytes`: for users without a quota of their own."""
        self._default_bytes = default_bytes

    async def check(self, connection: AsyncConnection, user_id: UUID, size: int) -> None:
        """
        Raises `QuotaExceeded` (reason `storage_quota_exceeded`) where there is no room for `size` bytes more. Creating
        calls of one user take turns from here to the end of their transactions, so that together they stay within it.
        """
        own = select(users.c.storage_quota_bytes).where(users.c.id == user_id).with_for_update()
        quota = (await connection.execute(own)).scalar_one_or_none()
        quota = self._default_bytes if quota is None else quota
        used = await used_bytes(connection, user_id)
        if used + size > quota:
            message = f"The file has {size} bytes; {used} of your {quota} bytes of storage are in use."
            details = {"quota_bytes": str(quota), "used_bytes": str(used), "size": str(size)}
            raise QuotaExceeded(message, reason="storage_quota_exceeded", details=details)


async def used_bytes(connection: AsyncConnection, user_id: UUID) -> int:
    """Bytes of the files that a user has stored or announced."""
    of_videos = select(func.coalesce(func.sum(videos.c.size), 0)).where(
        videos.c.user_id == user_id, videos.c.status != VideoStatus.REJECTED
    )
    of_uploads = select(func.coalesce(func.sum(uploads.c.size), 0)).where(
        uploads.c.user_id == user_id,
        uploads.c.kind != UploadKind.VIDEO,  # these are videos too
        uploads.c.status != UploadStatus.FAILED,
    )
    both = select(of_videos.scalar_subquery() + of_uploads.scalar_subquery())
    return int((await connection.execute(both)).scalar_one())
