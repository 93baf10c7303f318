"""Signs of life of the workers."""

from __future__ import annotations

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs.models import workers
from onevoice_jobs.records import WorkerRecord
from onevoice_kit.db import transaction

ALIVE_S = 90.0
"""Workers show themselves every 30 s; after three misses they count as dead."""


async def heartbeat(engine: AsyncEngine, worker_id: str, *, service: str, version: str, slots: int, busy: int) -> None:
    """Shows that a worker lives and how much it does."""
    values = {"service": service, "version": version, "slots": slots, "busy": busy, "seen_at": func.now()}
    statement = insert(workers).values(id=worker_id, **values)
    async with transaction(engine) as connection:
        await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


async def deregister(engine: AsyncEngine, worker_id: str) -> None:
    """Removes a worker that stops in good order from the table of workers."""
    async with transaction(engine) as connection:
        await connection.execute(delete(workers).where(workers.c.id == worker_id))


async def list_workers(engine: AsyncEngine, *, alive_s: float = ALIVE_S) -> list[WorkerRecord]:
    """Every worker not seen to stop, the longest-lived first; `alive` where seen within `alive_s`."""
    alive = workers.c.seen_at > func.now() - func.make_interval(0, 0, 0, 0, 0, 0, alive_s)
    statement = select(workers, alive.label("alive")).order_by(workers.c.started_at, workers.c.id)
    async with transaction(engine) as connection:
        return [WorkerRecord(**row._mapping) for row in await connection.execute(statement)]  # noqa: SLF001


async def forget_dead(engine: AsyncEngine, *, older_than_s: float = 86_400.0) -> int:
    """Takes workers off the list that have been silent for `older_than_s`; returns how many."""
    silent = workers.c.seen_at < func.now() - func.make_interval(0, 0, 0, 0, 0, 0, older_than_s)
    async with transaction(engine) as connection:
        return (await connection.execute(delete(workers).where(silent))).rowcount
