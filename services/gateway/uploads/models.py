"""Table of uploads."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Index, Table, Text, Uuid, func

from services.gateway.database import metadata
from services.gateway.users.models import users


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
