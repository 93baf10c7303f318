"""Fixtures of the kit's data tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from sqlalchemy import MetaData, Table, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.schema import CreateSchema

from onevoice_kit import db
from onevoice_kit.queue.outbox import OutboxQueue, outbox_table
from onevoice_kit.settings import DatabaseSettings
from onevoice_kit.testing.waiting import eventually


@dataclass(frozen=True)
class Outbox:
    """An empty outbox with a queue on it."""

    engine: AsyncEngine
    table: Table
    queue: OutboxQueue

    async def listening(self) -> None:
        """Returns once a connection listens for notifications and is idle."""
        query = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'"
        )

        async def listens() -> bool:
            async with db.transaction(self.engine) as connection:
                return bool((await connection.execute(query)).scalar())

        await eventually(listens)


@pytest.fixture
async def engine(postgres_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on an empty database."""
    engine = db.create_engine(DatabaseSettings(database_url=postgres_url))
    yield engine
    await engine.dispose()


@pytest.fixture
async def outbox(engine: AsyncEngine) -> AsyncIterator[Outbox]:
    """An outbox in an empty database."""
    metadata = MetaData()
    table = outbox_table(metadata, "work")
    async with db.transaction(engine) as connection:
        await connection.execute(CreateSchema("work"))
        await connection.run_sync(metadata.create_all)
    queue = OutboxQueue(engine, table, 30)
    yield Outbox(engine, table, queue)
    await queue.close()
