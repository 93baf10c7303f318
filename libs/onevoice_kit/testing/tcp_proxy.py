"""A TCP proxy whose network breaks on request: slow, stalled, silent, reset, cut in the middle of an answer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

_CHUNK = 1 << 16
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing then resets the connection."""

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial: TypeAlias = Callable[[], Awaitable[Streams]]
"""Opens a connection to the server."""


def tcp(host: str, port: int) -> Dial:
    """A server on a port."""
    return lambda: asyncio.open_connection(host, port)


def unix(path: str) -> Dial:
    """A server on a socket in the file system."""
    return lambda: asyncio.open_unix_connection(path)


@dataclass(eq=False)
class Cut:
    """Resets connections in the middle of the answers to certain requests; the server has then done its work."""

    pattern: bytes
    """Bytes of the requests it is about; empty: every request."""
    after_bytes: int
    """Bytes of the response that get through."""
    times: int
    """Number of responses to cut."""
    happened: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once all of them were cut."""


@dataclass(eq=False)
class Hold:
    """Keeps requests on their way from the moment that a chunk with `pattern` comes, until `release`."""

    pattern: bytes
    caught: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Sends on what was held, and holds no more."""
        self.released.set()


class TcpProxy:
    """
    Passes connections on to one server. Bytes are looked for within what arrives at once, which for the small
    requests of the protocols here is the whole request. `counts` holds the faults so far, by name.
    """

    def __init__(self, dial: Dial) -> None:
        self.latency_s = 0.0
        """Added to every chunk, either way."""
        self.counts: Counter[str] = Counter()
        self._dial = dial
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusing = False
        self._silent = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._cuts: list[Cut] = []
        self._holds: list[Hold] = []

    @property
    def port(self) -> int:
        """The port for clients, on 127.0.0.1."""
        assert self._server is not None, "the proxy runs"
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def address(self) -> str:
        """`127.0.0.1:port`."""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listens on a free port."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)

    async def close(self) -> None:
        """Ends everything."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Faults

    def reset(self) -> None:
        """Resets every connection there is; new ones work."""
        for link in list(self._links):
            self.counts["reset"] += 1
            link.reset()

    def refuse(self) -> None:
        """Resets every connection there is and every new one until `heal`: the server is down."""
        self._refusing = True
        self.reset()

    def stall(self) -> None:
        """Forwards nothing until `heal`, then everything that was sent meanwhile: packets were lost for a while."""
        self.counts["stall"] += 1
        self._flowing.clear()

    def half_open(self) -> None:
        """
        Never forwards anything again on the connections there are and on those made until `heal`, without closing them:
        the other machine is gone, or a router between has dropped the connections.
        """
        self.counts["half_open"] += 1
        self._silent = True
        for link in self._links:
            link.silent = True

    def cut(self, *, after_bytes: int = 0, pattern: bytes = b"", times: int = 1) -> Cut:
        """Resets connections after so many bytes of the answers to the next requests with `pattern`."""
        cut = Cut(pattern, after_bytes, times)
        self._cuts.append(cut)
        return cut

    def hold(self, pattern: bytes) -> Hold:
        """Keeps the next requests with `pattern` on their way; other connections are not held."""
        hold = Hold(pattern)
        self._holds.append(hold)
        return hold

    def heal(self) -> None:
        """Ends every fault; connections that were made silent stay so."""
        self._refusing = self._silent = False
        self.latency_s = 0.0
        self._cuts.clear()
        for hold in self._holds:
            hold.release()
        self._holds.clear()
        self._flowing.set()

    # How

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts["connection"] += 1
        if self._refusing:
            self.counts["refused"] += 1
            _abort(writer)
            return
        task = asyncio.create_task(self._serve((reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: Streams) -> None:
        try:
            server = await self._dial()
        except OSError:
            _abort(client[1])
            return
        link = _Link(self, client, server)
        link.silent = self._silent
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    async def flow(self) -> None:
        """Waits as long as packets are slow or lost."""
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        await self._flowing.wait()

    def cut_of(self, request: bytes) -> Cut | None:
        """The cut that the answer to this request is for."""
        return next((cut for cut in self._cuts if cut.times > 0 and cut.pattern in request), None)

    def hold_of(self, request: bytes) -> Hold | None:
        """The hold that this request is for."""
        return next((hold for hold in self._holds if hold.pattern in request), None)


class _Link:
    """One connection and its other half."""

    def __init__(self, proxy: TcpProxy, client: Streams, server: Streams) -> None:
        self.silent = False
        self._proxy = proxy
        self._client = client
        self._server = server
        self._cut: Cut | None = None
        self._left = 0

    async def run(self) -> None:
        pumps = [asyncio.create_task(self._requests()), asyncio.create_task(self._answers())]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._client[1].close()
            self._server[1].close()

    def reset(self) -> None:
        """Neither side may believe that the other has ended in good order."""
        _abort(self._client[1])
        _abort(self._server[1])

    async def _requests(self) -> None:
        while (chunk := await self._read(self._client[0])) is not None:
            if hold := self._proxy.hold_of(chunk):
                hold.caught.set()
                await hold.released.wait()
            if self._cut is None and (cut := self._proxy.cut_of(chunk)):
                self._cut, self._left = cut, cut.after_bytes
            await self._write(self._server[1], chunk)

    async def _answers(self) -> None:
        while (chunk := await self._read(self._server[0])) is not None:
            if self._cut is not None and len(chunk) >= self._left:
                await self._end_of(self._cut, chunk[: self._left])
                return
            self._left -= len(chunk)
            await self._write(self._client[1], chunk)

    async def _end_of(self, cut: Cut, last: bytes) -> None:
        await self._write(self._client[1], last)
        cut.times -= 1
        self._proxy.counts["cut"] += 1
        if cut.times <= 0:
            cut.happened.set()
        self.reset()

    async def _read(self, reader: asyncio.StreamReader) -> bytes | None:
        """The next bytes to pass on; None at the end."""
        try:
            chunk = await reader.read(_CHUNK)
        except OSError:
            chunk = b""
        await self._proxy.flow()
        if self.silent:
            await asyncio.Event().wait()  # until the proxy is closed
        return chunk or None

    async def _write(self, writer: asyncio.StreamWriter, chunk: bytes) -> None:
        with contextlib.suppress(OSError):  # the reading half sees the end too
            writer.write(chunk)
            await writer.drain()


@asynccontextmanager
async def tcp_proxy(dial: Dial) -> AsyncIterator[TcpProxy]:
    """A running proxy before a server."""
    proxy = TcpProxy(dial)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.close()


def _abort(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket | None = writer.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):  # closed already
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
