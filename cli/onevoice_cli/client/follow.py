"""Follows a job to its end: events with resumption, and polling where events do not come through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from onevoice_cli.client.api import PATIENT, ApiClient
from onevoice_cli.client.sse import Event, parse, split_lines
from onevoice_kit.errors import OneVoiceError, Unavailable
from onevoice_kit.retry import Retry

TERMINAL = frozenset({"completed", "failed", "cancelled"})
_TERMINAL_EVENTS = {f"job.{status}": status for status in TERMINAL}
_READ_TIMEOUT_S = 45.0
"""The server sends a comment every 15 s; this much silence means the connection is dead."""


@dataclass(slots=True)
class Track:
    """The whole job, or one of its languages."""

    status: str = "pending"
    stage: str = ""
    percent: float = 0.0
    problem: str = ""
    lines: int = 0
    """Dubbed lines that are ready."""


@dataclass(slots=True)
class JobView:
    """Kept up to date from snapshots (`GET /jobs/{id}`) and events, whichever arrives."""

    id: str
    job: Track = field(default_factory=Track)
    languages: dict[str, Track] = field(default_factory=dict)
    snapshot: Mapping[str, Any] = field(default_factory=dict)
    """The last answer of `GET /jobs/{id}`."""

    @property
    def finished(self) -> bool:
        """True once the job has ended."""
        return self.job.status in TERMINAL

    def take_snapshot(self, job: Mapping[str, Any]) -> None:
        """Takes over the state of the whole job."""
        self.snapshot = job
        _fill(self.job, job)
        for task in job.get("languages") or []:
            _fill(self._language(str(task.get("language"))), task)

    def take_event(self, event: Event) -> None:
        """Applies one event. Unknown types, which newer servers send, are ignored."""
        data = event.data
        track = self._language(str(data["language"])) if data.get("language") else self.job
        if event.type == "job.progress":
            track.status = "processing"
            track.stage = str(data.get("stage") or track.stage)
            track.percent = max(track.percent, float(data.get("percent") or 0))
        elif event.type == "job.started":
            track.status = "processing"
        elif event.type == "line.ready":
            track.lines += 1
        elif event.type in ("language.completed", "language.failed"):
            track.status = event.type.partition(".")[2]
            track.problem = str(data.get("message") or "")
            track.percent = 100.0 if track.status == "completed" else track.percent
        elif event.type in _TERMINAL_EVENTS:
            self.job.status = _TERMINAL_EVENTS[event.type]

    def _language(self, language: str) -> Track:
        return self.languages.setdefault(language, Track())


def _fill(track: Track, values: Mapping[str, Any]) -> None:
    track.status = str(values.get("status") or track.status)
    track.stage = str(values.get("stage") or track.stage)
    track.percent = float(values.get("progress") or track.percent)
    track.problem = str((values.get("error") or {}).get("message") or track.problem)


@dataclass(slots=True)
class Follower:
    """Keeps `view` up to date; calls `on_change` after every change."""

    api: ApiClient
    view: JobView
    on_change: Callable[[JobView], None]
    retry: Retry = PATIENT
    """Attempts in a row without any answer before the network counts as lost."""
    polls_s: float = 1.0
    stream_failures: int = 3
    """Streams in a row that bring no event before the follower only polls."""
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
        """Reads events until the stream ends or breaks, from the end of the last one on. True if any came."""
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
            # Whatever it was, the snapshot that follows either works or raises.
            return came
        return came
