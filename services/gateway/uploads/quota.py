"""Storage quotas: bytes that the uploads and videos of one user may have together."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from onevoice_kit.errors import QuotaExceeded
from services.gateway.uploads.models import UploadKind, UploadStatus, uploads
from services.gateway.users.models import users
from services.gateway.videos.models import VideoStatus, videos


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
