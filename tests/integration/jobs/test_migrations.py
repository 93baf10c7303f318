"""The migrations make what the models say."""

from __future__ import annotations

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, Connection, text

from onevoice_jobs.migrations import migrations_path
from onevoice_jobs.models import SCHEMA, metadata
from onevoice_kit.db import migrate, transaction

_KEPT = {"steps.status", "steps.error", "steps.started_at"}
"""Columns that the last release still writes; the next migration drops them, and their checks."""
_KEPT_CHECKS = {"steps_status_check", "steps_output_check"}


def _kept(item: Any, name: str | None, kind: str) -> bool:
    return kind == "column" and f"{item.table.name}.{name}" in _KEPT


def _differences(connection: Connection) -> list[Any]:
    options = {
        "compare_type": True,
        "compare_server_default": True,
        "include_schemas": True,
        "include_name": lambda name, kind, _parents: kind != "schema" or name == SCHEMA,
        "include_object": lambda item, name, kind, _reflected, _other: (
            name != "alembic_version" and not _kept(item, name, kind)
        ),
    }
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def test_the_migrated_schema_is_that_of_the_models(engine):
    async with transaction(engine) as connection:
        assert await connection.run_sync(_differences) == []


async def test_the_checks_of_the_migrated_schema_are_those_of_the_models(engine):
    """Alembic does not compare checks."""
    query = text("SELECT conname FROM pg_constraint WHERE contype = 'c' AND connamespace = 'jobs'::regnamespace")
    modelled = {
        constraint.name
        for table in metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    async with transaction(engine) as connection:
        assert set((await connection.execute(query)).scalars()) == modelled | _KEPT_CHECKS


async def test_migrating_again_changes_nothing(database_url):
    first = await migrate(database_url, migrations_path(), SCHEMA)
    assert await migrate(database_url, migrations_path(), SCHEMA) == first == "0004"
