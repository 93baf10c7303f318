"""A database with the billing tables, and a ledger on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_kit.db import asyncpg_dsn, create_engine, migrate
from onevoice_kit.settings import DatabaseSettings
from onevoice_local.databases import PostgresDatabases
from services.billing.ledger import Ledger
from services.billing.migrations import migrations_path
from services.billing.models import SCHEMA

FREE_CREDITS = 600
_EMPTY = (
    # The ledger does not let itself be emptied: for this one transaction its trigger is off.
    "SET LOCAL session_replication_role = replica",
    "DELETE FROM billing.entries",
    "DELETE FROM billing.reservations",
    "DELETE FROM billing.accounts",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def migrated_url(postgres: PostgresDatabases) -> AsyncIterator[str]:
    """A database with the tables, shared within a module: making one takes longer than most tests."""
    template = await postgres.prepare_template("billing", lambda url: migrate(url, migrations_path(), SCHEMA))
    async with postgres.fresh(template) as url:
        yield url


@pytest.fixture
async def database_url(migrated_url: str) -> str:
    """A database with empty tables."""
    connection = await asyncpg.connect(asyncpg_dsn(migrated_url))
    async with connection.transaction():
        for statement in _EMPTY:
            await connection.execute(statement)
    await connection.close()
    return migrated_url


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(DatabaseSettings(database_url=SecretStr(database_url), database_pool_size=20))
    yield engine
    await engine.dispose()


@pytest.fixture
def ledger(engine: AsyncEngine) -> Ledger:
    return Ledger(engine, FREE_CREDITS)
