"""The storage port: objects by key, references by content, signed URLs for clients."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from onevoice_kit.errors import InvalidInput

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=-]*(/[A-Za-z0-9_][A-Za-z0-9._=-]*)*")


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """A stored object; what services pass to each other instead of bytes."""

    uri: str
    """`s3://bucket/key`, or `file:///key` relative to the storage folder."""
    sha256: str
    """Of the content, 64 lower-case hexadecimal digits."""
    size: int
    """Bytes."""
    content_type: str


@dataclass(frozen=True, slots=True)
class SignedUpload:
    """A request a client may make once to store one object or one part."""

    method: str
    """`PUT` or `POST`."""
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers the client must send."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Form fields that come before the file, for `POST`."""


@dataclass(frozen=True, slots=True)
class UploadedPart:
    """A part of a multipart upload, as the store answered it."""

    number: int
    """From 1."""
    etag: str


class Storage(Protocol):
    """
    Objects by key. Keys are plain paths (`check_key`). Every write records the SHA-256.

    Raises `NotFound` (reason `object_not_found`) for a missing object, `Unavailable` when the store does not
    answer, `InvalidInput` (reason `invalid_key`) for a key that is not plain.
    """

    def uri(self, key: str) -> str:
        """The URI of a key."""
        ...

    def key(self, uri: str) -> str:
        """The key of one of this store's URIs; `InvalidInput` (reason `foreign_uri`) for any other."""
        ...

    async def head(self, key: str) -> ObjectRef | None:
        """The object's reference, or None. `sha256` is empty for an upload that has not been verified yet."""
        ...

    async def put_file(self, key: str, path: Path, content_type: str) -> ObjectRef:
        """Stores a file, atomically: readers see the old object, the new one, or none, never a part."""
        ...

    async def put_bytes(self, key: str, data: bytes, content_type: str) -> ObjectRef:
        """Stores a small object."""
        ...

    async def get_bytes(self, key: str, max_bytes: int = 16 << 20) -> bytes:
        """Reads a small object; `InvalidInput` (reason `object_too_large`) when it is larger than `max_bytes`."""
        ...

    def open_local(self, ref: ObjectRef) -> AbstractAsyncContextManager[Path]:
        """
        The object as a readable local file for the length of the context. The file store gives its own file
        (never write to it); S3 downloads to a temporary file, checks the SHA-256, and deletes it afterwards.
        Raises `InvalidInput` (reason `checksum_mismatch`) where the content does not match `ref`.
        """
        ...

    def stream(self, key: str, chunk_bytes: int = 1 << 20) -> AsyncIterator[bytes]:
        """The content, piece by piece."""
        ...

    async def verify(self, key: str, content_type: str) -> ObjectRef:
        """
        Accepts what a client uploaded under this content type, and returns its reference, by the checksum that the
        store took when it was sent. `sha256` is empty where the store has none (S3, after an upload in parts):
        `open_local` compares the content with the expected one.
        """
        ...

    async def delete(self, key: str) -> None:
        """Deletes an object; a missing one is fine."""
        ...

    async def delete_prefix(self, prefix: str) -> int:
        """Deletes every object under `prefix/`; returns how many."""
        ...

    def list(self, prefix: str) -> AsyncIterator[str]:
        """Keys under `prefix/`, in order."""
        ...

    async def sign_get(self, key: str, expires_s: int, *, filename: str | None = None) -> str:
        """A URL that reads the object until it expires; with `filename` the browser saves it under that name."""
        ...

    async def sign_put(self, key: str, *, size: int, sha256: str, content_type: str, expires_s: int) -> SignedUpload:
        """A signed upload of exactly `size` bytes with this checksum."""
        ...

    async def start_multipart(self, key: str, content_type: str) -> str:
        """Begins a multipart upload; returns its id."""
        ...

    async def sign_part(self, key: str, upload_id: str, number: int, *, size: int, expires_s: int) -> SignedUpload:
        """A signed upload of part `number` (from 1) of exactly `size` bytes. The response carries an `ETag` header."""
        ...

    async def complete_multipart(self, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> None:
        """Joins the parts; `InvalidInput` (reason `invalid_parts`) where one is missing or differs."""
        ...

    async def abort_multipart(self, key: str, upload_id: str) -> None:
        """Drops the parts; an unknown upload is fine."""
        ...

    async def check(self) -> None:
        """Raises `Unavailable` when the store cannot be reached."""
        ...

    async def close(self) -> None:
        """Gives connections back."""
        ...


def check_key(key: str) -> str:
    """Returns the key; `InvalidInput` (reason `invalid_key`) unless it is a plain relative path without dots."""
    if len(key) > 900 or not _KEY.fullmatch(key):
        raise InvalidInput("The object key is not valid.", reason="invalid_key")
    return key


def content_disposition(filename: str) -> str:
    """
    Makes a browser save under this name (RFC 6266): once in ASCII for old ones, once as it is.
    Control characters, quotes, slashes and backslashes become underscores.
    """
    name = "".join("_" if character in '"\\/' or not character.isprintable() else character for character in filename)
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() or "download"
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}"
