"""Removal of files whose upload or video is gone: noted in the transaction that deletes the row, done after it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from uuid import UUID

from sqlalchemy import Column, DateTime, Index, Table, Text, Uuid, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from onevoice_kit.db import transaction, uuid7
from onevoice_kit.errors import OneVoiceError
from onevoice_kit.storage.base import Storage
from services.gateway.database import metadata
from services.gateway.uploads.models import Upload

logger = logging.getLogger(__name__)

_RETRY_AFTER = timedelta(minutes=5)
REQUEST_MARGIN = timedelta(hours=2, minutes=5)
"""
From the end of a signature to that of its last request: S3 checks a signature when a request begins, whose body may
take longer, and clocks differ.
"""

removals = Table(
    "removals",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("prefix", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("multipart_id", Text),
    Column("due_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("final_at", DateTime(timezone=True), nullable=False),
    Index(None, "due_at"),
)


@dataclass(frozen=True, slots=True)
class Removal:
    """Files to remove: at once, and again when no signed request can bring them back."""

    id: UUID
    prefix: str
    key: str
    multipart_id: str | None
    final_at: datetime
    """From here on a removal is the last one."""


async def note_removal(connection: AsyncConnection, prefix: str, upload: Upload | None) -> Removal:
    """
    Notes that everything under `prefix` is to be removed. Where an upload may still be sent, which its signed requests
    allow until they expire, it is removed once more after that.
    """
    now = datetime.now(UTC)
    final_at = now if upload is None else max(now, upload.expires_at + REQUEST_MARGIN)
    multipart_id = None if upload is None else upload.multipart_id
    removal = Removal(uuid7(), prefix, prefix if upload is None else upload.key, multipart_id, final_at)
    values = {name: getattr(removal, name) for name in Removal.__dataclass_fields__}
    # Not due at once for the sweeper: the caller removes it right after the commit.
    await connection.execute(insert(removals).values(due_at=func.now() + _RETRY_AFTER, **values))
    return removal


async def note_upload_removal(connection: AsyncConnection, upload: Upload) -> Removal:
    """The same for one upload, which lies in a folder of its own."""
    return await note_removal(connection, str(PurePosixPath(upload.key).parent), upload)


class Removals:
    """Removes noted files. No database connection is held while the storage works."""

    def __init__(self, engine: AsyncEngine, storage: Storage, batch: int = 50) -> None:
        self._engine = engine
        self._storage = storage
        self._batch = batch

    async def remove(self, removal: Removal) -> bool:
        """Removes the files; False where the storage fails, in which case the sweeper repeats it."""
        try:
            if removal.multipart_id is not None:
                await self._storage.abort_multipart(removal.key, removal.multipart_id)
            await self._storage.delete_prefix(removal.prefix)
        except OneVoiceError:
            logger.warning("files not removed yet", extra={"prefix": removal.prefix}, exc_info=True)
            return False
        async with transaction(self._engine) as connection:
            mine = removals.c.id == removal.id
            if removal.final_at <= datetime.now(UTC):
                await connection.execute(delete(removals).where(mine))
            else:
                await connection.execute(update(removals).where(mine).values(due_at=removal.final_at))
        return True

    async def sweep(self) -> None:
        """Removes what is due."""
        for removal in await self._take():
            await self.remove(removal)

    async def _take(self) -> list[Removal]:
        """Removals that are due, put off for the time that this sweeper needs, so that another one skips them."""
        due = (
            select(removals.c.id)
            .where(removals.c.due_at <= func.now())
            .order_by(removals.c.due_at)
            .limit(self._batch)
            .with_for_update(skip_locked=True)
        )
        columns = [removals.c[name] for name in Removal.__dataclass_fields__]
        taken = update(removals).where(removals.c.id.in_(due)).values(due_at=func.now() + _RETRY_AFTER)
        async with transaction(self._engine) as connection:
            return [Removal(*row) for row in await connection.execute(taken.returning(*columns))]
