"""Uploads: checksum first, then one signed request or parallel parts, streamed from disk."""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import httpx

from onevoice_cli.client.api import ApiClient
from onevoice_cli.client.problems import from_response, from_transport
from onevoice_kit.errors import InvalidInput, PreconditionFailed

Advance = Callable[[int], None]
"""Takes the number of bytes read or sent since the last call; negative where a part is sent again."""

CHUNK_BYTES = 1 << 20
PARALLEL_PARTS = 4
_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".avi": "video/x-msvideo",
    ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg",
    ".ts": "video/mp2t",
}


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to upload, as it was when its checksum was taken."""

    path: Path
    size: int
    sha256: str
    content_type: str

    def metadata(self) -> dict[str, Any]:
        """The facts that the API requires before it signs an upload."""
        facts = {"filename": self.path.name, "content_type": self.content_type}
        return {**facts, "size": self.size, "sha256": self.sha256}


def check_file(path: Path) -> int:
    """The size in bytes; a clear error where the path cannot be uploaded."""
    try:
        if not path.exists():
            raise PreconditionFailed(f"There is no file {path}.", reason="file_missing")
        if not path.is_file():
            raise PreconditionFailed(f"{path} is not a file.", reason="not_a_file")
        with path.open("rb"):
            size = path.stat().st_size
    except PermissionError:
        raise PreconditionFailed(f"{path} cannot be read by this user.", reason="file_unreadable") from None
    if size == 0:
        raise InvalidInput(f"{path} is empty.", reason="empty_file")
    return size


def fingerprint(path: Path, advance: Advance) -> LocalFile:
    """Reads the file once. Blocks; call it in a thread."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            advance(len(chunk))
    guessed = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return LocalFile(path, size, digest.hexdigest(), _TYPES.get(path.suffix.lower(), guessed))


async def send(api: ApiClient, file: LocalFile, ticket: Mapping[str, Any], advance: Advance) -> list[dict[str, Any]]:
    """Sends the file by the ticket of `POST /videos`; returns the parts to complete with, if any."""
    multipart = ticket.get("multipart")
    if multipart:
        return await _send_parts(api, file, multipart["upload"], advance)
    await _send_range(api, file, ticket["upload"], 0, file.size, advance)
    return []


async def _send_parts(
    api: ApiClient, file: LocalFile, parts: Sequence[Mapping[str, Any]], advance: Advance
) -> list[dict[str, Any]]:
    if sum(part["size"] for part in parts) != file.size:
        raise InvalidInput("The parts that the server expects do not make up the file.", reason="invalid_parts")
    gate = asyncio.Semaphore(PARALLEL_PARTS)

    async def one(part: Mapping[str, Any], offset: int) -> dict[str, Any]:
        async with gate:
            etag = await _send_range(api, file, part, offset, part["size"], advance)
            return {"number": part["number"], "etag": etag}

    offsets, offset = [], 0
    for part in parts:
        offsets.append(offset)
        offset += part["size"]
    tasks = [asyncio.create_task(one(part, start)) for part, start in zip(parts, offsets, strict=True)]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _send_range(
    api: ApiClient, file: LocalFile, request: Mapping[str, Any], offset: int, size: int, advance: Advance
) -> str:
    """One signed request, with the client's retry budget; returns the ETag."""

    async def once() -> str:
        sent = _Counter(advance)
        try:
            response = await _request(api.signed, file, request, offset, size, sent.add)
        except httpx.TransportError as error:
            sent.take_back()
            raise from_transport(error, request["url"]) from error
        if response.is_error:
            sent.take_back()
            raise from_response(response)
        return str(response.headers.get("etag", ""))

    return await api.retry.call(once)


class _Counter:
    """Counts one attempt, so that a failed one does not stay in the progress."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        self._total = 0

    def add(self, count: int) -> None:
        self._total += count
        self._advance(count)

    def take_back(self) -> None:
        self._advance(-self._total)


async def _request(
    http: httpx.AsyncClient, file: LocalFile, request: Mapping[str, Any], offset: int, size: int, advance: Advance
) -> httpx.Response:
    headers = dict(request.get("headers") or {})
    if request.get("method", "PUT").upper() == "POST":
        # An HTML form (S3 POST policy): the fields come before the file.
        with file.path.open("rb") as stream:
            form = {"file": (file.path.name, _Reading(stream, advance), file.content_type)}
            fields = dict(request.get("fields") or {})
            return await http.post(request["url"], data=fields, files=form, headers=headers)  # type: ignore[arg-type]
    headers["Content-Length"] = str(size)
    return await http.request("PUT", request["url"], content=_chunks(file, offset, size, advance), headers=headers)


class _Reading:
    """A file that reports how much of it has been read; httpx takes its size by `fileno`."""

    def __init__(self, stream: BufferedReader, advance: Advance) -> None:
        self._stream = stream
        self._advance = advance

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._advance(len(data))
        return data

    def fileno(self) -> int:
        return self._stream.fileno()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


async def _chunks(file: LocalFile, offset: int, size: int, advance: Advance) -> AsyncIterator[bytes]:
    """Bytes of a range, read in threads."""
    with await asyncio.to_thread(file.path.open, "rb") as stream:
        stream.seek(offset)
        left = size
        while left:
            data = await asyncio.to_thread(stream.read, min(CHUNK_BYTES, left))
            if not data:
                raise InvalidInput(f"{file.path} became shorter while it was being sent.", reason="file_changed")
            left -= len(data)
            yield data
            advance(len(data))
