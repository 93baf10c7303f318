"""Reads a multipart form with one file, in constant memory: the file goes to disk as it arrives."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import Message
from email.utils import collapse_rfc2231_value
from pathlib import Path
from typing import Any, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from onevoice_kit.errors import InvalidInput

_FLUSH_BYTES = 1 << 20
_MAX_FIELD_BYTES = 64 << 10
_MAX_PARTS = 20
_MAX_BOUNDARY_BYTES = 70
"""RFC 2046, section 5.1.1."""


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file that came with a form; gone when the form is closed."""

    path: Path
    filename: str
    content_type: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Form:
    """A form with one file."""

    fields: Mapping[str, str]
    file: ReceivedFile


@asynccontextmanager
async def receive_form(
    content_type: str, body: AsyncIterable[bytes], *, file_field: str, max_bytes: int
) -> AsyncIterator[Form]:
    """
    The form, for the length of the context. Raises `InvalidInput` with reason `unsupported_media_type`,
    `malformed_body`, `missing_file`, `file_too_large`.
    """
    boundary = _boundary(content_type)
    with tempfile.TemporaryDirectory(prefix="onevoice-form-") as folder:
        path = Path(folder, "file")
        file = await asyncio.to_thread(path.open, "wb")
        with file:
            reader = _Reader(boundary, file, file_field, max_bytes)
            async for chunk in body:
                await reader.feed(chunk)
            form = await reader.finish(path)
        yield form


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 1 <= len(boundary) <= _MAX_BOUNDARY_BYTES:
        raise InvalidInput("Send the file as multipart/form-data.", reason="unsupported_media_type")
    return boundary


@dataclass
class _Part:
    headers: dict[bytes, bytes] = field(default_factory=dict)
    name: str = ""
    filename: str | None = None
    data: bytearray = field(default_factory=bytearray)


class _Reader:
    """Feeds the parser and sorts what it finds into fields and the file."""

    def __init__(self, boundary: bytes, file: BinaryIO, file_field: str, max_bytes: int) -> None:
        self._file = file
        self._file_field = file_field
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self._size = 0
        self._pending = bytearray()
        self._fields: dict[str, str] = {}
        self._file_part: _Part | None = None
        self._part = _Part()
        self._parts = 0
        self._header = (bytearray(), bytearray())
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )

    async def feed(self, chunk: bytes) -> None:
        """Takes the next bytes of the body."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _malformed() from error
        if len(self._pending) >= _FLUSH_BYTES:
            await self._flush()

    async def finish(self, path: Path) -> Form:
        """The form, once the body has ended."""
        if not self._ended:
            raise _malformed()
        if self._file_part is None:
            raise InvalidInput(f"The form has no file {self._file_field}.", reason="missing_file")
        await self._flush()
        await asyncio.to_thread(self._file.flush)
        content_type = _text(self._file_part.headers.get(b"content-type", b"").partition(b";")[0].strip().lower())
        received = ReceivedFile(
            path=path,
            filename=self._file_part.filename or "",
            content_type=content_type or "application/octet-stream",
            size=self._size,
            sha256=self._hash.hexdigest(),
        )
        return Form(self._fields, received)

    async def _flush(self) -> None:
        data = bytes(self._pending)
        self._pending.clear()
        await asyncio.to_thread(self._write, data)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)

    def _on_part_begin(self) -> None:
        self._part = _Part()
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise InvalidInput("The form has too many fields.", reason="malformed_body")

    def _on_header_end(self) -> None:
        name, value = map(bytes, self._header)
        self._part.headers[name.lower()] = value
        self._header = (bytearray(), bytearray())

    def _on_headers_finished(self) -> None:
        disposition = self._part.headers.get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        self._part.name = _text(options.get(b"name", b""))
        if self._part.name != self._file_field:
            return
        if self._file_part is not None:
            raise InvalidInput("The form has more than one file.", reason="malformed_body")
        self._part.filename = _extended_filename(disposition) or _text(options.get(b"filename", b""))
        self._file_part = self._part

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._part is self._file_part:
            self._size += end - start
            if self._size > self._max_bytes:
                message = f"The file is larger than {self._max_bytes} bytes."
                details = {"max_bytes": str(self._max_bytes)}
                raise InvalidInput(message, reason="file_too_large", details=details)
            self._pending += data[start:end]
            return
        self._part.data += data[start:end]
        if len(self._part.data) > _MAX_FIELD_BYTES:
            raise InvalidInput(f"The field {self._part.name[:50]} is too long.", reason="malformed_body")

    def _on_part_end(self) -> None:
        if self._part is self._file_part:
            return
        self._fields[self._part.name] = self._part.data.decode("utf-8", "replace")

    def _on_end(self) -> None:
        self._ended = True


def _text(value: bytes) -> str:
    """A header's text: UTF-8, as RFC 7578 (section 5.1) and browsers have it, else Latin-1, as old clients send it."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _extended_filename(disposition: bytes) -> str:
    """
    The name in `filename*` (RFC 5987); empty where there is none. RFC 7578 forbids it in forms, some clients send it
    all the same, and then it is the exact name.
    """
    message = Message()
    message["content-disposition"] = disposition.decode("latin-1")
    values: Any = message.get_params([], "content-disposition")  # the values that are decoded are tuples
    extended = (value for name, value in values if name.lower() == "filename" and isinstance(value, tuple))
    return next(map(collapse_rfc2231_value, extended), "")


def _malformed() -> InvalidInput:
    return InvalidInput("The form cannot be read.", reason="malformed_body")
