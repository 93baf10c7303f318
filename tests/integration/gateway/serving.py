"""The gateway's application behind a real HTTP server, and what a client of event streams sees."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from services.gateway.server import ConnectionLimits, bounded_protocol

LIMITS = ConnectionLimits(connections=1000, header_s=10, body_window_s=20, body_bytes_per_s=1000, write_s=60)


@asynccontextmanager
async def serve(app: FastAPI, **limits: Any) -> AsyncIterator[str]:
    """Serves an application that has been started already, within these limits; gives its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    protocol = bounded_protocol(replace(LIMITS, **limits))
    config = uvicorn.Config(app, http=protocol, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@dataclass(frozen=True)
class Seen:
    """An event as it came."""

    id: int
    type: str
    data: dict[str, Any]


class EventReader:
    """Reads an event stream as browsers do."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.comments: list[str] = []

    async def next(self) -> Seen | None:
        """The next event; None at the end of the stream."""
        fields: dict[str, str] = {}
        async for line in self._lines:
            if line.startswith(":"):
                self.comments.append(line)
            elif line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                return Seen(int(fields["id"]), fields["event"], json.loads(fields["data"]))
        return None

    async def rest(self) -> list[Seen]:
        """Every event until the stream ends."""
        found = []
        while (event := await self.next()) is not None:
            found.append(event)
        return found


@asynccontextmanager
async def follow(base_url: str, key: str, job_id: str, last_id: int | None = None) -> AsyncIterator[EventReader]:
    """An open event stream of a job."""
    headers = {"Authorization": f"Bearer {key}"}
    if last_id is not None:
        headers["Last-Event-ID"] = str(last_id)
    async with (
        httpx.AsyncClient(base_url=base_url, timeout=30) as client,
        client.stream("GET", f"/api/jobs/{job_id}/events", headers=headers) as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield EventReader(response)
