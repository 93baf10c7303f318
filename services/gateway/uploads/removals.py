"""Removal of files without a row: noted in the transaction that deletes the row, or found in the bucket."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Protocol
from uuid import UUID

from sqlalchemy import Column, DateTime, Index, Table, Text, Uuid, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from onevoice_kit.db import transaction, uuid7
from onevoice_kit.errors import OneVoiceError
from onevoice_kit.storage.base import Storage
from services.gateway.accounts import users
from services.gateway.database import metadata
from services.gateway.uploads.repository import Upload, UploadStatus, take_stale_uploads, uploads
from services.gateway.videos.repository import VideoStatus, videos

logger = logging.getLogger(__name__)

_RETRY_AFTER = timedelta(minutes=5)
_STALE_AFTER = timedelta(hours=24)
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

    async def remove_stale(self) -> None:
        """Deletes uploads that were never completed and whose time is over, and their files."""
        async with transaction(self._engine) as connection:
            stale = await take_stale_uploads(connection, _STALE_AFTER)
            noted = [await note_upload_removal(connection, upload) for upload in stale]
        for upload, removal in zip(stale, noted, strict=True):
            logger.info("dropped an abandoned upload", extra={"upload_id": str(upload.id)})
            await self.remove(removal)

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


PREFIX = "users"
_PAGES = 200
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_UPLOADED = re.compile(rf"users/{_UUID}/(uploads|videos)/({_UUID})/.+")
_RESULTS = re.compile(rf"users/{_UUID}/jobs/")


class Bucket(Protocol):
    """The part of `S3Storage` that a sweep uses."""

    async def page(self, prefix: str, after: str) -> Sequence[tuple[str, datetime]]: ...

    async def delete(self, key: str) -> None: ...


class Orphans:
    """
    Deletes uploaded objects that have no row and are older than any signature. A round reads a bounded number of pages
    and the next one goes on where it ended; results of jobs are skipped.
    """

    def __init__(self, engine: AsyncEngine, bucket: Bucket, age: timedelta, pages: int = _PAGES) -> None:
        """`age`: longest time from signing a request to the end of its body. `pages`: of 1,000 keys, in one round."""
        self._engine = engine
        self._bucket = bucket
        self._age = age
        self._pages = pages
        self._after: str | None = None

    async def sweep(self) -> None:
        """One round; it ends early at the end of the bucket."""
        if self._after is None:
            self._after = await self._somewhere()
        for _ in range(self._pages):
            page = await self._bucket.page(PREFIX, self._after)
            if not page:
                self._after = ""
                return
            await self._sweep(page)
            self._after = _behind(page[-1][0])

    async def _somewhere(self) -> str:
        """The keys of a random user, so that a gateway that restarts often does not only see the first ones."""
        chosen = select(users.c.id).order_by(func.random()).limit(1)
        async with transaction(self._engine) as connection:
            user_id = (await connection.execute(chosen)).scalar_one_or_none()
        return "" if user_id is None else f"{PREFIX}/{user_id}"

    async def _sweep(self, page: Iterable[tuple[str, datetime]]) -> None:
        oldest = datetime.now(UTC) - self._age
        owners = {key: (match[1], UUID(match[2])) for key, at in page if at < oldest and (match := _uploaded(key))}
        live = await self._live(set(owners.values())) if owners else set()
        for key, owner in owners.items():
            if owner not in live:
                await self._bucket.delete(key)
                logger.info("deleted an uploaded object without a row", extra={"key": key})

    async def _live(self, owners: Iterable[tuple[str, UUID]]) -> set[tuple[str, UUID]]:
        """Those of these uploads and videos that may have an object."""
        of_kind = {kind: [id_ for found, id_ in owners if found == kind] for kind in ("uploads", "videos")}
        kept = {
            "uploads": select(uploads.c.id).where(
                uploads.c.id.in_(of_kind["uploads"]), uploads.c.status != UploadStatus.FAILED
            ),
            "videos": select(videos.c.id).where(
                videos.c.id.in_(of_kind["videos"]), videos.c.status != VideoStatus.REJECTED
            ),
        }
        async with transaction(self._engine) as connection:
            return {(kind, id_) for kind in kept for id_ in (await connection.execute(kept[kind])).scalars()}


def _uploaded(key: str) -> re.Match[str] | None:
    return _UPLOADED.fullmatch(key)


def _behind(key: str) -> str:
    """The place from which to go on after this key: behind all results of a user where it is one of them."""
    results = _RESULTS.match(key)
    return key if results is None else results[0] + "~"  # no key has a character that sorts behind it
