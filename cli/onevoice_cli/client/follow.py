"""Follows a job to its end: events with resumption, and asking again and again where events do not come through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from onevoice_cli.client.api import ApiClient
from onevoice_cli.client.progress import JobView
from onevoice_cli.client.retry import Retry
from onevoice_cli.client.sse import parse, split_lines
from onevoice_kit.errors import OneVoiceError, Unavailable

_READ_TIMEOUT_S = 45.0
"""The server sends a comment every 15 s; this much silence means the connection is dead."""


@dataclass(slots=True)
class Follower:
    """Keeps `view` up to date; calls `on_change` after every change."""

    api: ApiClient
    view: JobView
    on_change: Callable[[JobView], None]
    retry: Retry = field(default_factory=lambda: Retry(attempts=8))
    """Attempts in a row without any answer before the network counts as lost."""
    polls_s: float = 1.0
    stream_failures: int = 3
    """Streams in a row that bring no event before the follower only asks."""
    _last_id: str = ""

    async def follow(self) -> JobView:
        """Returns when the job has ended, its last snapshot taken. `Unavailable` (`network_lost`) names the job."""
        silent = 0
        await self._snapshot()
        while not self.view.finished:
            if silent < self.stream_failures:
                silent = 0 if await self._stream() else silent + 1
            if not self.view.finished:
                await asyncio.sleep(self.polls_s)
            await self._snapshot()
        return self.view

    async def _snapshot(self) -> None:
        try:
            self.view.take_snapshot(await self.api.get(f"jobs/{self.view.id}", retry=self.retry))
        except Unavailable as error:
            raise Unavailable(
                f"{error.message} Job {self.view.id} goes on at the server; `onevoice status` shows it.",
                reason="network_lost",
            ) from error
        self.on_change(self.view)

    async def _stream(self) -> bool:
        """Reads events until the stream ends or breaks, from where the last one stopped; says whether any came."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self._last_id} if self._last_id else {})
        came = False
        try:
            async with self.api.stream(f"jobs/{self.view.id}/events", headers, _READ_TIMEOUT_S) as response:
                async for event in parse(split_lines(response.aiter_bytes())):
                    came = True
                    self._last_id = event.id or self._last_id
                    self.view.take_event(event)
                    self.on_change(self.view)
                    if self.view.finished:
                        break
        except OneVoiceError:
            # Whatever it was, the snapshot that follows either works or says so.
            return came
        return came
