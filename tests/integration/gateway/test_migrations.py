"""The migrations make what the models say."""

from __future__ import annotations

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from onevoice_kit.db import migrate, transaction
from services.gateway.database import SCHEMA, metadata
from services.gateway.migrations import migrations_path
from tests.integration.gateway.conftest import Gateway


def _differences(connection: Connection) -> list[Any]:
    options = {
        "compare_type": True,
        "compare_server_default": True,
        "include_schemas": True,
        "include_name": lambda name, kind, _parents: kind != "schema" or name == SCHEMA,
        "include_object": lambda _object, name, _kind, _reflected, _other: name != "alembic_version",
    }
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def test_the_migrated_schema_is_that_of_the_models(gateway: Gateway) -> None:
    async with transaction(gateway.database) as connection:
        assert await connection.run_sync(_differences) == []
    assert set(metadata.tables) == {
        f"gateway.{name}" for name in ("users", "api_keys", "uploads", "videos", "idempotency_keys")
    }


async def test_migrating_again_changes_nothing(database_url: str) -> None:
    first = await migrate(database_url, migrations_path(), SCHEMA)
    assert await migrate(database_url, migrations_path(), SCHEMA) == first == "0002"
