"""A database with the billing tables, and a ledger on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_local.databases import PostgresDatabases
from services.billing.ledger import Ledger
from tests.support.databases import LEDGER_EMPTY, emptied, migrated, opened

FREE_CREDITS = 600


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def migrated_url(postgres: PostgresDatabases) -> AsyncIterator[str]:
    """A database with the tables, shared within a module: making one takes longer than most tests."""
    async with migrated(postgres, "billing") as url:
        yield url


@pytest.fixture
async def database_url(migrated_url: str) -> str:
    """A database with empty tables."""
    return await emptied(migrated_url, *LEDGER_EMPTY)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    async with opened(database_url, database_pool_size=20) as engine:
        yield engine


@pytest.fixture
def ledger(engine: AsyncEngine) -> Ledger:
    return Ledger(engine, FREE_CREDITS)
