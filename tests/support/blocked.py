"""Statements that wait for another's lock."""

from __future__ import annotations

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_kit.db import transaction
from onevoice_kit.testing.waiting import eventually

_WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


async def done_or_blocked(engine: AsyncEngine, task: asyncio.Task[object], blocked: int = 1) -> None:
    """Returns once the task is done, or `blocked` statements in the database wait for a lock."""

    async def either() -> bool:
        if task.done():
            return True
        async with transaction(engine) as connection:
            return bool((await connection.execute(_WAITING)).scalar_one() >= blocked)

    await eventually(either)
