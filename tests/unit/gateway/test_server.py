"""Limits of a connection, on a clock that the test sets."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from services.gateway.server import ConnectionLimits, bounded_protocol

LIMITS = ConnectionLimits(connections=10, header_s=10, body_window_s=20, body_bytes_per_s=100, write_s=60)
HEAD = b"POST /x HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n"


class Timer:
    """A callback at a moment."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.work: Callable[[], object] | None = work

    def cancel(self) -> None:
        self.work = None


class Clock:
    """The part of an event loop that protocols use; its time passes when the test lets it."""

    def __init__(self) -> None:
        self._now = 0.0
        self._numbers = count()
        self._timers: list[tuple[float, int, Timer]] = []

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, work: Callable[..., object], *arguments: object) -> Timer:
        timer = Timer(lambda: work(*arguments))
        heapq.heappush(self._timers, (self._now + delay, next(self._numbers), timer))
        return timer

    def create_task(self, work: Any, **_options: Any) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(work)

    def advance(self, seconds: float) -> None:
        end = self._now + seconds
        while self._timers and self._timers[0][0] <= end:
            self._now, _, timer = heapq.heappop(self._timers)
            if timer.work is not None:
                timer.work()
        self._now = end


class Transport(asyncio.Transport):
    """Keeps what the server writes."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = True

    def abort(self) -> None:
        self._closed = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Connection:
    """A connection whose application reads a piece of the body each time that `reads` is set."""

    def __init__(self) -> None:
        self.clock, self.transport = Clock(), Transport()
        self.may_read = asyncio.Semaphore(0)
        config = uvicorn.Config(
            self._app, http=bounded_protocol(LIMITS), interface="asgi3", log_config=None, lifespan="off"
        )
        config.load()
        protocol_class: Any = config.http_protocol_class
        self.protocol = protocol_class(config=config, server_state=ServerState(), app_state={}, _loop=self.clock)
        self.protocol.connection_made(self.transport)

    async def _app(self, _scope: Any, receive: Any, _send: Any) -> None:
        while True:
            await self.may_read.acquire()
            if (await receive())["type"] == "http.disconnect":
                return

    async def send(self, data: bytes) -> None:
        """Bytes arrive; then the application has its turn."""
        self.protocol.data_received(data)
        await self.settle()

    async def read(self) -> None:
        """Lets the application ask for the next piece of the body."""
        self.may_read.release()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def end(self) -> None:
        self.protocol.connection_lost(None)
        for _ in range(3):
            await self.read()


@pytest.fixture
async def connection():
    made = Connection()
    yield made
    await made.end()


async def test_a_slow_body_that_keeps_the_lowest_rate_is_read_to_its_end(connection: Connection) -> None:
    await connection.send(HEAD)
    for _ in range(600):  # ten minutes of 100 bytes a second
        await connection.read()
        await connection.send(bytes(100))
        connection.clock.advance(1)
    assert not connection.transport.closed


async def test_a_body_below_the_lowest_rate_is_cut_after_one_window(connection: Connection) -> None:
    await connection.send(HEAD)
    for _ in range(19):
        await connection.read()
        await connection.send(bytes(99))
        connection.clock.advance(1)
    assert not connection.transport.closed
    await connection.read()
    await connection.send(bytes(99))
    connection.clock.advance(1)
    assert connection.transport.written.startswith(b"HTTP/1.1 408 ")


async def test_time_in_which_the_application_does_not_read_is_not_held_against_the_client(
    connection: Connection,
) -> None:
    await connection.send(HEAD)
    connection.clock.advance(1000)  # the key is being checked
    assert not connection.transport.written
    await connection.read()
    connection.clock.advance(19)
    assert b"408" not in connection.transport.written
    connection.clock.advance(1.5)
    assert b"408" in connection.transport.written


async def test_bytes_that_arrive_do_not_prolong_the_time_for_headers(connection: Connection) -> None:
    for _ in range(9):
        await connection.send(b"X")
        connection.clock.advance(1)
    assert not connection.transport.closed
    connection.clock.advance(1)
    assert connection.transport.written.startswith(b"HTTP/1.1 408 ")
