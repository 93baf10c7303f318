"""A small HTTP server in the test's own event loop that stands for a vendor, with the ways in which one fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema
import pydantic

KEY = "key-that-nobody-may-see"


@dataclass(frozen=True)
class Request:
    """A request, read to its end."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def form(self) -> tuple[dict[str, Any], bytes]:
        """The fields of a multipart body, lists for names with `[]` at their end, and its file."""
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        fields: dict[str, Any] = {}
        file = b""
        parts: Any = BytesParser(policy=HTTP).parsebytes(head + self.body)
        for part in parts.iter_parts():
            name, content = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
            if part.get_filename():
                file = content
            elif name.endswith("[]"):
                fields.setdefault(name[:-2], []).append(content.decode())
            else:
                fields[name] = content.decode()
        return fields, file


@dataclass(frozen=True)
class Reply:
    """A reply."""

    body: bytes
    content_type: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self, length: int | None = None) -> bytes:
        """As sent; `length` in place of the true one."""
        size = len(self.body) if length is None else length
        named = {"Content-Type": self.content_type, "Content-Length": str(size), **self.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        return f"HTTP/1.1 {self.status} X\r\n{lines}\r\n".encode() + self.body


Api = Callable[[Request], Reply]
"""Raises a `ValidationError` of `pydantic` or `jsonschema`, or `AssertionError`, for what breaks the schema."""
Fault = Callable[["VendorServer", Reply, asyncio.StreamWriter], Awaitable[None]]
"""Answers in place of the good reply."""


class VendorServer:
    """Answers requests by an API, or by a fault where one is set."""

    def __init__(self, api: Api) -> None:
        self.url = ""
        self.fault: Fault | None = None
        self.requests: list[Request] = []
        self.problems: list[str] = []
        """Requests that the vendor's schema does not allow."""
        self.hung_up = asyncio.Event()
        """A caller closed its connection while its request was not answered."""
        self.asked = asyncio.Event()
        self._api = api
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while (request := await _read(reader)) is not None:
                self.requests.append(request)
                self.asked.set()
                reply = self._reply(request)
                if self.fault is None:
                    writer.write(reply.encoded())
                else:
                    await self._fail(self.fault, reply, reader, writer)
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def stop(self) -> None:
        """Ends what is still answered."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _reply(self, request: Request) -> Reply:
        try:
            return self._api(request)
        except (jsonschema.ValidationError, pydantic.ValidationError, AssertionError) as error:
            self.problems.append(repr(error))
            return Reply(b"{}", "application/json", 422)

    async def _fail(
        self, fault: Fault, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        answering, gone = asyncio.ensure_future(fault(self, reply, writer)), asyncio.ensure_future(reader.read())
        try:
            await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                self.hung_up.set()
        finally:
            answering.cancel()
            gone.cancel()
            await asyncio.gather(answering, gone, return_exceptions=True)


@asynccontextmanager
async def vendor_server(api: Api) -> AsyncGenerator[VendorServer]:
    """A server on a free port of loopback; at its end no request may have broken the vendor's schema."""
    server = VendorServer(api)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        await server.stop()
    assert server.problems == []


def refuses(status: int, **headers: str) -> Fault:
    """An error whose body repeats the key, as some vendors do."""

    async def fault(server: VendorServer, reply: Reply, writer: asyncio.StreamWriter) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        writer.write(Reply(json.dumps({"detail": f"{KEY}"}).encode(), "application/json", status, named).encoded())

    return fault


async def silent(server: VendorServer, reply: Reply, writer: asyncio.StreamWriter) -> None:
    """Never answers."""
    await asyncio.Event().wait()


async def dripping(server: VendorServer, reply: Reply, writer: asyncio.StreamWriter) -> None:
    """Sends a byte often enough that no read takes long, and never ends."""
    writer.write(Reply(b"", reply.content_type).encoded(1 << 20))
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def endless(server: VendorServer, reply: Reply, writer: asyncio.StreamWriter) -> None:
    """Sends more than anyone wants."""
    writer.write(Reply(b"", reply.content_type).encoded(1 << 40))
    while True:
        writer.write(b" " * 65_536)
        await writer.drain()


async def cut(server: VendorServer, reply: Reply, writer: asyncio.StreamWriter) -> None:
    """Ends within the body."""
    writer.write(Reply(reply.body[:10], reply.content_type).encoded(len(reply.body)))


async def cut_at_once(server: VendorServer, reply: Reply, writer: asyncio.StreamWriter) -> None:
    """Ends before the reply."""


def sends(body: bytes, content_type: str = "") -> Fault:
    """Another body than the good one, by default of the good type."""

    async def fault(server: VendorServer, reply: Reply, writer: asyncio.StreamWriter) -> None:
        writer.write(Reply(body, content_type or reply.content_type).encoded())

    return fault


async def _read(reader: asyncio.StreamReader) -> Request | None:
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    url = urlsplit(target)
    return Request(method, url.path, dict(parse_qsl(url.query)), headers, body)
