"""What is known of a job while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onevoice_cli.client.sse import Event

TERMINAL = frozenset({"completed", "failed", "cancelled"})
_TERMINAL_EVENTS = {f"job.{status}": status for status in TERMINAL}


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
        """Whether nothing more will happen."""
        return self.job.status in TERMINAL

    def take_snapshot(self, job: Mapping[str, Any]) -> None:
        """Everything the server knows now."""
        self.snapshot = job
        _fill(self.job, job)
        for task in job.get("languages") or []:
            _fill(self._language(str(task.get("language"))), task)

    def take_event(self, event: Event) -> None:
        """One change. Unknown events are for newer clients."""
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
