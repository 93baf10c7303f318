"""Checks everything the gateway depends on, side by side, each for a short time only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

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
from services.gateway.clients.health import HealthClient
from services.gateway.monitoring.schemas import Component, HealthOut, QueueOut, Verdict, WorkerOut

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
