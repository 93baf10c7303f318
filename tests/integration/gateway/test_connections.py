"""Clients that are slow, many, or without a key cost neither memory nor connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from onevoice_kit.testing.waiting import eventually
from tests.integration.gateway.conftest import Gateway, User, announce, answers, assert_problem
from tests.integration.gateway.serving import follow, serve
from tests.integration.gateway.test_events import new_job
from tests.integration.gateway.test_process import environment, free_port, running

MOST_STALLED_BYTES = 256 << 20
"""64 MiB of bodies in flight, and up to 256 KiB for each connection that have come with its headers."""
STALLED_HEAD = b"GET /api/videos HTTP/1.1\r\nHost: gateway.test\r\n"


class Client:
    """A connection on which a test writes what it wants."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def end(self) -> bytes:
        """All that still comes until the server closes or resets the connection."""
        received = b""
        with suppress(ConnectionError):
            async with asyncio.timeout(60):
                while data := await self._reader.read(65536):
                    received += data
        return received

    async def response(self) -> tuple[int, dict[str, Any]]:
        """Status and problem of the next response."""
        async with asyncio.timeout(60):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            length = next(int(line.split(":")[1]) for line in head.lower().split("\r\n") if "content-length" in line)
            return int(head.split()[1]), json.loads(await self._reader.readexactly(length))

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def connected(url: str, count: int, data: bytes = b"") -> AsyncIterator[list[Client]]:
    """Opens `count` connections and sends `data` on each."""
    address = urlsplit(url)
    clients = []
    try:
        for _ in range(count):
            clients.append(Client(*await asyncio.open_connection(address.hostname, address.port)))
            await clients[-1].send(data)
        yield clients
    finally:
        for client in clients:
            client.close()


def post(length: int, key: str | None) -> bytes:
    """The head of a request with a body of this length."""
    credentials = f"Authorization: Bearer {key}\r\n" if key else ""
    head = f"POST /api/videos HTTP/1.1\r\nHost: gateway.test\r\n{credentials}Content-Type: application/json\r\n"
    return f"{head}Content-Length: {length}\r\n\r\n".encode()


@pytest.mark.parametrize("key", [None, "ov_" + "x" * 43])
async def test_a_body_is_not_read_before_the_key_is_known(gateway: Gateway, key: str | None) -> None:
    async def receive() -> Any:
        raise AssertionError("the body was read")

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    if key is not None:
        headers.append((b"authorization", f"Bearer {key}".encode()))
    for path in ("/api/videos", "/api/uploads", "/api/jobs", "/api/dubbing-jobs", "/api/nothing"):
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
        await gateway.app(scope, receive, send)
        assert sent.pop(0)["status"] == 401
        sent.clear()


async def test_a_client_without_a_key_has_its_answer_before_it_sends_the_body(gateway: Gateway) -> None:
    async with serve(gateway.app) as url, connected(url, 1, post(1_000_000, None)) as (client,):
        status, problem = await client.response()
    assert (status, problem["reason"]) == (401, "missing_credentials")


async def test_the_connection_is_kept_when_the_refused_body_comes_and_closed_when_it_does_not(
    gateway: Gateway,
) -> None:
    async with serve(gateway.app) as url, connected(url, 2, post(10, None)) as (kept, closed):
        for client in (kept, closed):
            assert (await client.response())[0] == 401
        await kept.send(b"0123456789" + post(0, None))
        assert (await kept.response())[0] == 401
        assert await closed.end() == b""


async def test_hundreds_of_connections_that_send_no_whole_request_are_closed(gateway: Gateway, ada: User) -> None:
    async with serve(gateway.app, header_s=1.0) as url, connected(url, 150) as silent:
        async with connected(url, 150, STALLED_HEAD) as stalled:
            for connection in silent + stalled:
                assert b"HTTP/1.1 408 Request Timeout" in await connection.end()
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {ada.key}"}) as client:
            assert (await client.get("/api/videos")).status_code == 200


async def test_headers_that_come_byte_by_byte_do_not_prolong_their_time(gateway: Gateway) -> None:
    async with serve(gateway.app, header_s=1.0) as url, connected(url, 1, STALLED_HEAD) as (client,):
        ended = asyncio.create_task(client.end())
        while not ended.done():
            with suppress(ConnectionError):
                await client.send(b"X-A: b\r\n")
            await asyncio.wait([ended], timeout=0.1)
        assert b"408" in ended.result()


async def test_a_body_that_stops_is_given_up(gateway: Gateway, ada: User) -> None:
    async with (
        serve(gateway.app, body_window_s=0.5) as url,
        connected(url, 1, post(1000, ada.key) + b"{") as (client,),
    ):
        status, problem = await client.response()
        assert (status, problem["reason"]) == (408, "request_timeout")
        assert await client.end() == b""


async def test_a_client_that_does_not_read_its_response_is_cut_off(gateway: Gateway) -> None:
    key = "users/u/videos/v/film.mp4"
    await gateway.storage.put_bytes(key, bytes(64 << 20), "video/mp4")
    address = urlsplit(await gateway.storage.sign_get(key, 60))
    request = f"GET {address.path}?{address.query} HTTP/1.1\r\nHost: gateway.test\r\n\r\n".encode()
    before = {task for task in asyncio.all_tasks() if "run_asgi" in repr(task)}

    async def gone() -> bool:
        return not {task for task in asyncio.all_tasks() if "run_asgi" in repr(task)} - before

    async with serve(gateway.app, write_s=0.5) as url, connected(url, 1, request):
        await eventually(lambda: _negate(gone))
        await eventually(gone)


async def _negate(condition: Any) -> bool:
    return not await condition()


async def test_at_the_limit_the_connection_that_waits_longest_makes_room(gateway: Gateway, ada: User) -> None:
    async with serve(gateway.app, connections=3) as url, connected(url, 3, STALLED_HEAD) as (oldest, *_):
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {ada.key}"}) as client:
            assert (await client.get("/api/videos")).status_code == 200
        assert await oldest.end() == b""


async def test_when_every_connection_is_at_work_a_new_one_is_refused(gateway: Gateway, ada: User) -> None:
    job_id = await new_job(ada)
    async with serve(gateway.app, connections=2) as url:
        async with follow(url, ada.key, job_id) as one, follow(url, ada.key, job_id) as other:
            assert await one.next()
            assert await other.next()
            async with httpx.AsyncClient(base_url=url) as client:
                refused = await client.get("/healthz")
            assert_problem(refused, 503, "too_many_connections")
            assert int(refused.headers["Retry-After"]) > 0
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/healthz")).status_code == 200


class TestBodiesInFlight:
    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {"max_json_bytes_in_flight": 1000}

    async def test_bodies_that_are_held_at_once_are_bounded_together(self, gateway: Gateway, ada: User) -> None:
        body = json.dumps(announce()).encode().ljust(700)
        first_half_sent, go_on = asyncio.Event(), asyncio.Event()

        async def halves() -> Any:
            yield body[:600]
            first_half_sent.set()
            await go_on.wait()
            yield body[600:]

        headers = {"Content-Type": "application/json"}
        held = asyncio.create_task(ada.client.post("/api/videos", content=halves(), headers=headers))
        await first_half_sent.wait()
        refused = await ada.client.post("/api/videos", content=body, headers=headers)
        assert_problem(refused, 503, "overloaded")
        assert int(refused.headers["Retry-After"]) > 0
        go_on.set()
        assert (await held).status_code == 201
        assert (await ada.client.post("/api/videos", content=body, headers=headers)).status_code == 201


async def test_a_thousand_stalled_connections_do_not_fill_the_memory(gateway: Gateway, ada: User) -> None:
    """Measured in the real process: half-sent headers, and half-sent bodies with and without a key."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    # Nothing reads the process's output, so it writes none.
    env = environment(gateway, HTTP_PORT=str(port), LOG_LEVEL="CRITICAL")
    async with running(env, "-m", "services.gateway") as process:
        await eventually(lambda: answers(f"{url}/readyz"), 60)
        before = _peak_bytes(process.pid)
        async with (
            connected(url, 300, STALLED_HEAD + b"X-A: " + b"a" * 15_000),
            connected(url, 400, post(1_000_000, "ov_" + "x" * 43) + bytes(900_000)),
            connected(url, 300, post(1_000_000, ada.key) + bytes(900_000)),
        ):
            await eventually(lambda: answers(f"{url}/readyz"), 60)
        assert _peak_bytes(process.pid) - before < MOST_STALLED_BYTES
        process.terminate()
        await process.communicate()


def _peak_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(peak) * 1024
