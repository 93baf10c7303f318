"""The migrations make the schema of the models."""

from __future__ import annotations

from onevoice_kit.db import migrate
from services.gateway.database import SCHEMA, metadata
from services.gateway.migrations import migrations_path
from tests.integration.gateway.conftest import Gateway
from tests.support.databases import differences


async def test_the_migrated_schema_is_that_of_the_models(gateway: Gateway) -> None:
    assert await differences(gateway.database, metadata, SCHEMA) == []
    assert set(metadata.tables) == {
        f"gateway.{name}" for name in ("users", "api_keys", "uploads", "videos", "idempotency_keys", "removals")
    }


async def test_migrating_again_changes_nothing(database_url: str) -> None:
    first = await migrate(database_url, migrations_path(), SCHEMA)
    assert await migrate(database_url, migrations_path(), SCHEMA) == first == "0003"
