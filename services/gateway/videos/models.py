"""Table of videos."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Column, DateTime, ForeignKey, Index, Integer, Table, Text, Uuid, func

from services.gateway.database import metadata
from services.gateway.users.models import users


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
