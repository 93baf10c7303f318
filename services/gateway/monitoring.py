"""Health of the gateway and of everything behind it: bodies, the look at each part, routes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Response
from pydantic import Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs.records import WorkerRecord
from onevoice_jobs.workers import list_workers
from onevoice_kit.db import transaction
from onevoice_kit.errors import OneVoiceError, Unavailable
from onevoice_kit.queue.base import Queue, QueueDepth
from onevoice_kit.storage.base import Storage
from services.gateway.background import Supervisor
from services.gateway.catalogue.service import Remembered
from services.gateway.clients.stages import HealthClient
from services.gateway.dependencies import OperatorDep, part
from services.gateway.errors import open_problems
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


_OK = Component(status="ok")
_TIMEOUT_S = 3.0
_REMEMBERED_S = 1.0
"""The route is public, so the services behind it are queried at most this often."""
_SLOW_QUEUE_S = 300.0
"""A job that waits longer than this deserves a look."""


class Monitor:
    """Health of the whole deployment."""

    def __init__(
        self,
        engine: AsyncEngine,
        storage: Storage,
        queue: Queue,
        services: Mapping[str, HealthClient],
        background: Supervisor,
    ) -> None:
        self._engine = engine
        self._storage = storage
        self._queue = queue
        self._services = dict(services)
        self._background = background
        self._remembered: Remembered[HealthOut] = Remembered(self._look, _REMEMBERED_S)

    async def health(self) -> HealthOut:
        """The state of everything, at most a second old."""
        return await self._remembered.get()

    async def check_ready(self) -> None:
        """Raises `Unavailable` unless requests can be served: database and storage answer, needed tasks run."""
        self._background.check()
        found = await asyncio.gather(_timed(self._ping), _timed(self._storage.check))
        if any(component.status == "down" for component in found):
            raise Unavailable("The gateway is not ready.", reason="not_ready")

    async def _look(self) -> HealthOut:
        (database, storage, *stages), queue, workers = await asyncio.gather(
            self._look_at_parts(), self._look_at_queue(), self._look_at_workers()
        )
        services = dict(zip(self._services, stages, strict=True))
        needed = [*services.values(), queue]
        status: Verdict = "ok"
        failing = self._background.failing()
        if failing or any(part.status != "ok" for part in needed) or not any(worker.alive for worker in workers):
            status = "degraded"
        if "down" in (database.status, storage.status):
            status = "down"
        return HealthOut(
            status=status,
            database=database,
            storage=storage,
            queue=queue,
            services=services,
            background=Component(status="degraded", reason="background_work_failing") if failing else _OK,
            workers=workers,
        )

    async def _look_at_parts(self) -> list[Component]:
        stages = (_serving(client) for client in self._services.values())
        return await asyncio.gather(*(_timed(check) for check in (self._ping, self._storage.check, *stages)))

    async def _ping(self) -> None:
        async with transaction(self._engine) as connection:
            await connection.execute(text("SELECT 1"))

    async def _look_at_queue(self) -> QueueOut:
        depth = QueueDepth(0, 0, None)

        async def ask() -> None:
            nonlocal depth
            depth = await self._queue.depth()

        component = await _timed(ask)
        if component.status == "down":
            return QueueOut(**component.model_dump())
        slow = depth.oldest_age_s is not None and depth.oldest_age_s > _SLOW_QUEUE_S
        return QueueOut(
            status="degraded" if slow else "ok",
            latency_ms=component.latency_ms,
            reason="queue_is_slow" if slow else None,
            visible=depth.visible,
            in_flight=depth.in_flight,
            oldest_age_s=depth.oldest_age_s,
        )

    async def _look_at_workers(self) -> list[WorkerOut]:
        found: list[WorkerRecord] = []

        async def ask() -> None:
            found.extend(await list_workers(self._engine))

        await _timed(ask)
        return [
            WorkerOut(
                id=worker.id,
                version=worker.version,
                slots=worker.slots,
                busy=worker.busy,
                seen_at=worker.seen_at,
                alive=worker.alive,
            )
            for worker in found
        ]


def _serving(client: HealthClient) -> Callable[[], Awaitable[None]]:
    async def ask() -> None:
        if not await client.is_serving():
            raise Unavailable("The service does not take calls.", reason="not_serving")

    return ask


async def _timed(check: Callable[[], Awaitable[None]]) -> Component:
    started = time.perf_counter()
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await check()
    except OneVoiceError as error:
        return Component(status="down", latency_ms=None, reason=error.reason)
    except TimeoutError:
        return Component(status="down", latency_ms=None, reason="timeout")
    return Component(status="ok", latency_ms=round((time.perf_counter() - started) * 1000, 1))


HEALTH_PATH = "/api/monitoring/health"

router = APIRouter(tags=["monitoring"])

MonitorDep = Annotated[Monitor, Depends(part(Monitor))]


@router.get(
    HEALTH_PATH,
    summary="Look at everything",
    responses={
        503: {"model": HealthOut, "description": "Requests cannot be served."},
        **open_problems((500, "internal")),
    },
)
async def get_health(monitor: MonitorDep, operator: OperatorDep, response: Response) -> HealthOut:
    """
    Database, storage, queue, every service, and the workers' heartbeats. The names of workers, which hold those of
    machines and processes, are only for the key of an operator.
    """
    health = await monitor.health()
    response.status_code = 503 if health.status == "down" else 200
    return health if operator is not None else health.without_names()


@router.get("/healthz", summary="Is the process alive?", responses=open_problems((500, "internal")))
async def get_liveness() -> Live:
    """Answers as long as the process does."""
    return Live()


@router.get("/readyz", summary="Can requests be served?", responses=open_problems((503, "not_ready")))
async def get_readiness(monitor: MonitorDep) -> Live:
    """Answers while the database and the storage do."""
    await monitor.check_ready()
    return Live()
