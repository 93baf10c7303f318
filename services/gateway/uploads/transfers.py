"""Getting a file from a client straight into the storage, and making sure it is the file that was announced."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from onevoice_kit.errors import Conflict, InvalidInput, NotFound, PreconditionFailed
from onevoice_kit.media_exec.formats import HEAD_BYTES, media_type_of
from onevoice_kit.storage.base import ObjectRef, SignedUpload, Storage, UploadedPart
from services.gateway.uploads.repository import Upload, UploadKind, UploadStatus

_PICTURES = {
    "image/png": rb"\x89PNG\r\n\x1a\n",
    "image/jpeg": rb"\xff\xd8\xff",
    "image/gif": rb"GIF8",
    "image/webp": rb"(?s:RIFF.{4}WEBP)",
}
_ALLOWED: Mapping[UploadKind, tuple[str, ...]] = {
    UploadKind.VIDEO: ("video/", "application/ogg"),
    UploadKind.VOICE: ("audio/", "video/", "application/ogg"),
    UploadKind.BACKGROUND: ("audio/", "video/", "application/ogg"),
    UploadKind.VOICE_SAMPLE: ("audio/", "video/", "application/ogg"),
    UploadKind.SUBTITLE: ("text/",),
    UploadKind.AVATAR: ("image/",),
}


def sniff(head: bytes) -> str:
    """The media type of a file that starts with `head` (`HEAD_BYTES`); `application/octet-stream` where unknown."""
    if media_type := media_type_of(head):
        return media_type
    for media_type, start in _PICTURES.items():
        if re.match(start, head):
            return media_type
    return "text/plain" if _is_text(head) else "application/octet-stream"


def fits(kind: UploadKind, content_type: str) -> bool:
    """True if a file of this media type can serve the purpose of its upload."""
    return content_type.startswith(_ALLOWED[kind])


def _is_text(head: bytes) -> bool:
    if not head or b"\x00" in head:
        return False
    for cut in range(min(4, len(head))):  # the last character may be cut in the middle
        try:
            head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return True
    return False


_MAX_PARTS = 1000
_MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Announcement:
    """The file a client wants to send."""

    filename: str
    content_type: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SignedPart:
    """One part of a multipart upload."""

    number: int
    size: int
    request: SignedUpload


@dataclass(frozen=True, slots=True)
class Transfer:
    """The requests the client may make: `single`, or `parts` of `part_size` bytes."""

    single: SignedUpload | None
    parts: tuple[SignedPart, ...]
    part_size: int | None


@dataclass(frozen=True, slots=True)
class TransferLimits:
    """Sizes in bytes, times in seconds."""

    max_bytes: int
    multipart_threshold: int
    part_bytes: int
    expires_s: int


class Transfers:
    """Signed uploads, single or in parts."""

    def __init__(self, storage: Storage, limits: TransferLimits) -> None:
        self._storage = storage
        self._limits = limits

    def check_size(self, size: int) -> None:
        """Raises `InvalidInput` (`file_too_large`) and `PreconditionFailed` (`empty_file`)."""
        limit = self._limits.max_bytes
        if size > limit:
            details = {"max_bytes": str(limit), "size": str(size)}
            message = f"The file has {size} bytes; at most {limit} are taken."
            raise InvalidInput(message, reason="file_too_large", details=details)
        if size == 0:
            raise PreconditionFailed("The file is empty.", reason="empty_file")

    async def prepare(self, upload_id: UUID, user_id: UUID, kind: UploadKind, file: Announcement, key: str) -> Upload:
        """A new upload; a multipart upload is begun where the file is large."""
        self.check_size(file.size)
        part_size = self._part_size(file.size)
        multipart_id = None if part_size is None else await self._storage.start_multipart(key, file.content_type)
        return Upload(
            id=upload_id,
            user_id=user_id,
            kind=kind,
            status=UploadStatus.PENDING,
            filename=file.filename,
            content_type=file.content_type,
            size=file.size,
            sha256=file.sha256,
            key=key,
            multipart_id=multipart_id,
            part_size=part_size,
            expires_at=datetime.now(UTC) + timedelta(seconds=self._limits.expires_s),
        )

    async def sign(self, upload: Upload) -> Transfer:
        """The requests that send the file, valid as long as the upload is."""
        expires_s = int((upload.expires_at - datetime.now(UTC)).total_seconds())
        if upload.status is not UploadStatus.PENDING or expires_s <= 0:
            raise Conflict("The upload is no longer open.", reason="upload_closed")
        if upload.multipart_id is None or upload.part_size is None:
            single = await self._storage.sign_put(
                upload.key,
                size=upload.size,
                sha256=upload.sha256,
                content_type=upload.content_type,
                expires_s=expires_s,
            )
            return Transfer(single, (), None)
        parts = []
        for number, size in enumerate(part_sizes(upload.size, upload.part_size), start=1):
            request = await self._storage.sign_part(
                upload.key, upload.multipart_id, number, size=size, expires_s=expires_s
            )
            parts.append(SignedPart(number, size, request))
        return Transfer(None, tuple(parts), upload.part_size)

    async def receive(self, upload: Upload, parts: Sequence[UploadedPart]) -> ObjectRef:
        """
        The stored object, compared with what was announced. Raises `Conflict` (`not_uploaded`) while it
        is not there, and `PreconditionFailed` (`size_mismatch`, `checksum_mismatch`) where it is a wrong
        one. A checksum that the storage cannot give without reading is checked by its first reader.
        """
        if upload.multipart_id is not None and await self._storage.head(upload.key) is None:
            await self._join(upload, parts)
        try:
            ref = await self._storage.verify(upload.key, upload.content_type)
        except NotFound as error:
            raise Conflict("The file has not been uploaded yet.", reason="not_uploaded") from error
        wrong = _difference(upload, ref)
        if wrong is not None:
            raise wrong
        return replace(ref, sha256=upload.sha256)

    async def check_content(self, upload: Upload) -> None:
        """Raises `PreconditionFailed` (`content_mismatch`) where the file cannot be what it was uploaded for."""
        head = b""
        async for chunk in self._storage.stream(upload.key, HEAD_BYTES):
            head = chunk[:HEAD_BYTES]
            break
        found = sniff(head)
        if fits(upload.kind, found):
            return
        message = f"The file cannot be used as {upload.kind.value.replace('_', ' ')}: it looks like {found}."
        raise PreconditionFailed(message, reason="content_mismatch", details={"detected": found})

    async def drop(self, upload: Upload) -> None:
        """Removes whatever has been stored of the file."""
        if upload.multipart_id is not None:
            await self._storage.abort_multipart(upload.key, upload.multipart_id)
        await self._storage.delete(upload.key)

    async def _join(self, upload: Upload, parts: Sequence[UploadedPart]) -> None:
        expected = len(part_sizes(upload.size, upload.part_size or upload.size))
        if [part.number for part in parts] != list(range(1, expected + 1)):
            message = f"The upload has {expected} parts; name each once, in order, with its ETag."
            raise InvalidInput(message, reason="invalid_parts", details={"parts": str(expected)})
        await self._storage.complete_multipart(upload.key, upload.multipart_id or "", parts)

    def _part_size(self, size: int) -> int | None:
        if size <= self._limits.multipart_threshold:
            return None
        needed = -(-size // _MAX_PARTS)
        return max(self._limits.part_bytes, -(-needed // _MEBIBYTE) * _MEBIBYTE)


def part_sizes(size: int, part_size: int) -> list[int]:
    """Sizes of the parts of a file, in bytes: all `part_size` but the last."""
    whole, rest = divmod(size, part_size)
    return [part_size] * whole + ([rest] if rest else [])


def _difference(upload: Upload, ref: ObjectRef) -> PreconditionFailed | None:
    if ref.size != upload.size:
        message = f"The file has {ref.size} bytes; {upload.size} were announced."
        return PreconditionFailed(message, reason="size_mismatch")
    if ref.sha256 and ref.sha256 != upload.sha256:
        message = "The file's SHA-256 is not the one that was announced."
        details = {"expected": upload.sha256, "actual": ref.sha256}
        return PreconditionFailed(message, reason="checksum_mismatch", details=details)
    return None
