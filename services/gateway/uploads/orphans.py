"""Uploaded objects of a bucket without a row: a signed request that came after its row was deleted leaves them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_kit.db import transaction
from services.gateway.uploads.models import UploadStatus, uploads
from services.gateway.users.models import users
from services.gateway.videos.models import VideoStatus, videos

logger = logging.getLogger(__name__)

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
