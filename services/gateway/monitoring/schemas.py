"""Body of the health report."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from services.gateway.schemas import Output

Verdict = Literal["ok", "degraded", "down"]


class Component(Output):
    """One thing the service needs."""

    status: Verdict
    latency_ms: float | None = Field(default=None, description="How long it took to answer.", examples=[1.8])
    reason: str | None = Field(default=None, description="Why it is not `ok`.", examples=["service_unreachable"])


class QueueOut(Component):
    """The depth of the queue of jobs."""

    visible: int | None = Field(default=None, description="Messages that wait.", examples=[3])
    in_flight: int | None = Field(default=None, description="Messages that are worked on.", examples=[2])
    oldest_age_s: float | None = Field(default=None, description="Age of the oldest waiting message.", examples=[4.2])


class WorkerOut(Output):
    """A worker's last sign of life."""

    id: str | None = Field(description="Machine and process; only for operators.")
    version: str
    slots: int = Field(description="Jobs it can work on at once.")
    busy: int = Field(description="Jobs it works on now.")
    seen_at: datetime
    alive: bool


class HealthOut(Output):
    """`ok` when all is well, `degraded` when jobs may have to wait, `down` when requests cannot be served."""

    status: Verdict
    database: Component
    storage: Component
    queue: QueueOut
    services: dict[str, Component] = Field(description="By name: asr, translate, tts, mixer, billing.")
    background: Component = Field(description="Background tasks of the gateway that answered.")
    workers: list[WorkerOut]

    def without_names(self) -> Self:
        """The same for anyone: without the names of machines and processes."""
        return self.model_copy(update={"workers": [w.model_copy(update={"id": None}) for w in self.workers]})


class Live(Output):
    """The process answers."""

    status: Literal["ok"] = "ok"
