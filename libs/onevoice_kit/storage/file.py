"""Storage in a folder, for one machine; the gateway serves its signed URLs."""

from __future__ import annotations

import asyncio
import hmac
import shutil
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from onevoice_kit.errors import InvalidInput, OneVoiceError, Unavailable
from onevoice_kit.storage.base import ObjectRef, SignedUpload, UploadedPart, check_key
from onevoice_kit.storage.folder import Facts, Folder, TempWriter, missing
from onevoice_kit.storage.multipart import Multipart
from onevoice_kit.storage.signing import Grant, UrlSigner

_SCHEME = "file:///"
_BUFFER = 1 << 20
"""Bytes gathered before a thread writes them: a thread per network chunk would cost more than the write."""
P = ParamSpec("P")
T = TypeVar("T")


class FileStorage:
    """The storage port on a folder (see `base.Storage`). Files are read and written in threads."""

    def __init__(self, root: Path, signer: UrlSigner) -> None:
        self._folder = Folder(root.expanduser().resolve())
        self._multipart = Multipart(self._folder)
        self._signer = signer

    def uri(self, key: str) -> str:
        return _SCHEME + check_key(key)

    def key(self, uri: str) -> str:
        if not uri.startswith(_SCHEME):
            raise InvalidInput("This object is not one of this store.", reason="foreign_uri")
        return check_key(uri.removeprefix(_SCHEME))

    async def head(self, key: str) -> ObjectRef | None:
        facts = await _io(self._folder.facts, key)
        return None if facts is None else self._ref(key, facts)

    async def put_file(self, key: str, path: Path, content_type: str) -> ObjectRef:
        return await self._put(key, content_type, lambda writer: writer.append_file(path))

    async def put_bytes(self, key: str, data: bytes, content_type: str) -> ObjectRef:
        return await self._put(key, content_type, lambda writer: writer.write(data))

    async def get_bytes(self, key: str, max_bytes: int = 16 << 20) -> bytes:
        path = await self.local_path(key)
        data = await _io(_read_at_most, path, max_bytes + 1)
        if len(data) > max_bytes:
            raise InvalidInput("The object is too large to be read at once.", reason="object_too_large")
        return data

    @asynccontextmanager
    async def open_local(self, ref: ObjectRef) -> AsyncIterator[Path]:
        key = self.key(ref.uri)
        facts = await _io(self._folder.facts, key)
        if facts is None:
            raise missing()
        # The checksum was taken when the file was written; reading it all again would cost more than the work on it.
        if facts.size != ref.size or (facts.sha256 and ref.sha256 and facts.sha256 != ref.sha256):
            raise InvalidInput("The object is not the one that was referred to.", reason="checksum_mismatch")
        yield self._folder.path(key)

    async def stream(self, key: str, chunk_bytes: int = 1 << 20) -> AsyncIterator[bytes]:
        file = await _io(self._folder.path(key).open, "rb")
        try:
            while chunk := await _io(file.read, chunk_bytes):
                yield chunk
        finally:
            file.close()

    async def verify(self, key: str, content_type: str) -> ObjectRef:
        return self._ref(key, await _io(self._folder.accept, key, content_type))

    async def delete(self, key: str) -> None:
        await _io(self._folder.delete, key)

    async def delete_prefix(self, prefix: str) -> int:
        keys = await _io(self._folder.keys, prefix)
        return sum([await _io(self._folder.delete, key) for key in keys])

    async def list(self, prefix: str) -> AsyncIterator[str]:
        for key in await _io(self._folder.keys, prefix):
            yield key

    async def sign_get(self, key: str, expires_s: int, *, filename: str | None = None) -> str:
        return self._signer.url(Grant("GET", check_key(key), self._signer.expiry(expires_s), filename=filename or ""))

    async def sign_put(self, key: str, *, size: int, sha256: str, content_type: str, expires_s: int) -> SignedUpload:
        expires_at = self._signer.expiry(expires_s)
        grant = Grant("PUT", check_key(key), expires_at, size=size, sha256=sha256, content_type=content_type)
        return SignedUpload(
            "PUT", self._signer.url(grant), headers={"Content-Length": str(size), "Content-Type": content_type}
        )

    async def start_multipart(self, key: str, content_type: str) -> str:
        return await _io(self._multipart.start, check_key(key), content_type)

    async def sign_part(self, key: str, upload_id: str, number: int, *, size: int, expires_s: int) -> SignedUpload:
        expires_at = self._signer.expiry(expires_s)
        grant = Grant("PUT", check_key(key), expires_at, size=size, upload_id=upload_id, part=number)
        return SignedUpload("PUT", self._signer.url(grant), headers={"Content-Length": str(size)})

    async def complete_multipart(self, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> None:
        await _io(self._multipart.complete, key, upload_id, parts)

    async def abort_multipart(self, key: str, upload_id: str) -> None:
        await _io(self._multipart.abort, key, upload_id)

    async def check(self) -> None:
        try:
            writer = await _io(self._folder.open_writer)
            await _io(writer.discard)
        except OneVoiceError as error:
            raise _unavailable() from error

    async def close(self) -> None:
        """A folder has nothing to give back."""

    # What the gateway's storage routes need, and S3 does by itself.

    def verify_signature(self, method: str, key: str, parameters: Mapping[str, str]) -> Grant:
        """The permission of a signed request; raises as `UrlSigner.verify` does."""
        return self._signer.verify(method, key, parameters)

    async def receive(self, grant: Grant, chunks: AsyncIterable[bytes]) -> str:
        """
        Stores the body of a signed upload and returns its etag.

        Raises `InvalidInput` with reason `size_mismatch` as soon as the body is longer than signed, or ends
        early, and `checksum_mismatch` when it has another content. Nothing is kept then.
        """
        writer = await _io(self._folder.open_writer)
        try:
            await _fill(writer, chunks, grant.size or 0)
            if grant.sha256 and not hmac.compare_digest(writer.sha256, grant.sha256):
                raise InvalidInput("The upload has another checksum than announced.", reason="checksum_mismatch")
            if grant.part is not None:
                return await _io(self._multipart.receive, grant.key, grant.upload_id, grant.part, writer)
            await _io(self._folder.store, grant.key, writer, grant.content_type, verified=False)
            return f'"{writer.sha256}"'
        finally:
            await _io(writer.discard)

    async def local_path(self, key: str) -> Path:
        """The file of an object, to be served; `NotFound` (reason `object_not_found`) where there is none."""
        path = self._folder.path(key)
        if not await _io(path.is_file):
            raise missing()
        return path

    async def sweep(self, max_age_s: float) -> int:
        """Deletes what uploads left behind that were given up more than `max_age_s` ago; returns how many."""
        return await _io(self._folder.sweep, max_age_s)

    async def free_bytes(self) -> int:
        """Room left on the disk."""
        return (await _io(shutil.disk_usage, self._folder.root)).free

    async def _put(self, key: str, content_type: str, fill: Callable[[TempWriter], None]) -> ObjectRef:
        def put() -> Facts:
            with self._folder.writer() as writer:
                fill(writer)
                return self._folder.store(key, writer, content_type, verified=True)

        check_key(key)
        return self._ref(key, await _io(put))

    def _ref(self, key: str, facts: Facts) -> ObjectRef:
        return ObjectRef(self.uri(key), facts.sha256 if facts.verified else "", facts.size, facts.content_type)


async def _fill(writer: TempWriter, chunks: AsyncIterable[bytes], size: int) -> None:
    buffer = bytearray()
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        if received > size:
            break
        buffer += chunk
        if len(buffer) >= _BUFFER:
            await _io(writer.write, bytes(buffer))
            buffer.clear()
    if received != size:
        raise InvalidInput(f"The upload does not have the announced {size} bytes.", reason="size_mismatch")
    await _io(writer.write, bytes(buffer))


def _read_at_most(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)


async def _io(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs blocking file work in a thread; the disk's errors become the kit's."""
    try:
        return await asyncio.to_thread(function, *args, **kwargs)
    except FileNotFoundError as error:
        raise missing() from error
    except (NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        raise InvalidInput("The object key is another object's folder.", reason="invalid_key") from error
    except OSError as error:
        raise _unavailable() from error


def _unavailable() -> Unavailable:
    return Unavailable("The storage folder cannot be used.", reason="storage_unavailable")
