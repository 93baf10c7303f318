"""SQL for videos."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.gateway.videos.models import Video, VideoStatus, videos

_COLUMNS = [videos.c[name] for name in Video.__dataclass_fields__]


async def add_video(connection: AsyncConnection, video: Video) -> None:
    """Stores a new video."""
    await connection.execute(insert(videos).values({name: getattr(video, name) for name in Video.__dataclass_fields__}))


async def get_video(connection: AsyncConnection, user_id: UUID, video_id: UUID, *, lock: bool = False) -> Video | None:
    """A video of this user; with `lock`, no other transaction changes it until this one ends."""
    statement = select(*_COLUMNS).where(videos.c.id == video_id, videos.c.user_id == user_id)
    if lock:
        statement = statement.with_for_update()
    row = (await connection.execute(statement)).one_or_none()
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
