"""A database with the billing tables, and a ledger on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_kit.db import create_engine, migrate
from onevoice_kit.settings import DatabaseSettings
from onevoice_kit.testing.postgres import PostgresDatabases
from services.billing.ledger import Ledger
from services.billing.migrations import migrations_path
from services.billing.models import SCHEMA

FREE_CREDITS = 600


@pytest.fixture
async def database_url(postgres: PostgresDatabases) -> AsyncIterator[str]:
    """A database of one's own with the tables."""
    template = await postgres.prepare_template("billing", lambda url: migrate(url, migrations_path(), SCHEMA))
    async with postgres.fresh(template) as url:
        yield url


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(DatabaseSettings(database_url=SecretStr(database_url), database_pool_size=20))
    yield engine
    await engine.dispose()


@pytest.fixture
def ledger(engine: AsyncEngine) -> Ledger:
    return Ledger(engine, FREE_CREDITS)
