"""The table of videos, and its SQL."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Row,
    Table,
    Text,
    Uuid,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from services.gateway.accounts import users
from services.gateway.database import metadata


class VideoStatus(enum.StrEnum):
    """The state of a video on its way to a dub."""

    UPLOADING = "uploading"
    READY = "ready"
    REJECTED = "rejected"


videos = Table(
    "videos",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    Column("title", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("duration_ms", BigInteger),
    Column("width", Integer),
    Column("height", Integer),
    Column("has_audio", Boolean),
    Column("source_language", Text),
    Column("rejection_reason", Text),
    Column("rejection_message", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index(None, "user_id", "id"),
)


@dataclass(frozen=True, slots=True)
class Video:
    """A video of a user. What the file is (`duration_ms` and on) is known once it is ready."""

    id: UUID
    user_id: UUID
    title: str
    filename: str
    status: VideoStatus
    key: str
    content_type: str
    size: int
    sha256: str
    duration_ms: int | None
    width: int | None
    height: int | None
    has_audio: bool | None
    source_language: str | None
    rejection_reason: str | None
    rejection_message: str | None
    created_at: datetime


_COLUMNS = [videos.c[name] for name in Video.__dataclass_fields__]


async def add_video(connection: AsyncConnection, video: Video) -> None:
    """Stores a new video."""
    await connection.execute(insert(videos).values({name: getattr(video, name) for name in Video.__dataclass_fields__}))


_FIND = select(*_COLUMNS).where(videos.c.id == bindparam("video"), videos.c.user_id == bindparam("user"))
_LOCK = _FIND.with_for_update()


async def get_video(connection: AsyncConnection, user_id: UUID, video_id: UUID, *, lock: bool = False) -> Video | None:
    """A video of this user; with `lock`, no other transaction changes it until this one ends."""
    parameters = {"video": video_id, "user": user_id}
    row = (await connection.execute(_LOCK if lock else _FIND, parameters)).one_or_none()
    return None if row is None else _video(row)


async def list_videos(connection: AsyncConnection, user_id: UUID, before: UUID | None, limit: int) -> list[Video]:
    """Videos of this user, newest first, older than `before`."""
    statement = select(*_COLUMNS).where(videos.c.user_id == user_id).order_by(videos.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(videos.c.id < before)
    return [_video(row) for row in await connection.execute(statement)]


async def update_video(connection: AsyncConnection, user_id: UUID, video_id: UUID, **values: Any) -> Video | None:
    """Changes a video; None where it is gone."""
    statement = update(videos).where(videos.c.id == video_id, videos.c.user_id == user_id).values(**values)
    row = (await connection.execute(statement.returning(*_COLUMNS))).one_or_none()
    return None if row is None else _video(row)


async def delete_video(connection: AsyncConnection, video_id: UUID) -> None:
    """Forgets a video."""
    await connection.execute(delete(videos).where(videos.c.id == video_id))


def _video(row: Row[*tuple[Any, ...]]) -> Video:
    video = Video(*row)
    return replace(video, status=VideoStatus(video.status))
