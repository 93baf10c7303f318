"""Databases with the tables of the services, for fixtures: migrated, emptied, opened, and compared with the models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from pydantic import SecretStr
from sqlalchemy import CheckConstraint, Connection, MetaData, text
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs import migrations as of_jobs
from onevoice_kit.db import asyncpg_dsn, create_engine, migrate, transaction
from onevoice_kit.settings import DatabaseSettings
from onevoice_local.databases import PostgresDatabases
from services.billing import migrations as of_billing
from services.gateway import migrations as of_gateway

_HISTORIES = {"jobs": of_jobs, "gateway": of_gateway, "billing": of_billing}
JOBS_EMPTY = tuple(f"DELETE FROM jobs.{table}" for table in ("jobs", "outbox", "workers", "notifications"))
"""All other rows of a job are deleted with it."""
LEDGER_EMPTY = (
    # The ledger refuses to be emptied: for the rest of the transaction its trigger is off, like all others.
    "SET LOCAL session_replication_role = replica",
    *(f"DELETE FROM billing.{table}" for table in ("entries", "reservations", "accounts")),
)


@asynccontextmanager
async def migrated(postgres: PostgresDatabases, *schemas: str) -> AsyncIterator[str]:
    """The address of a new database with the tables of these schemas; the first caller of a session migrates."""

    async def prepare(url: str) -> None:
        for schema in schemas:
            await migrate(url, _HISTORIES[schema].migrations_path(), schema)

    async with postgres.fresh(await postgres.prepare_template("_and_".join(schemas), prepare)) as url:
        yield url


async def emptied(url: str, *statements: str) -> str:
    """Executes the statements in one transaction and returns the address."""
    connection = await asyncpg.connect(asyncpg_dsn(url))
    async with connection.transaction():
        for statement in statements:
            await connection.execute(statement)
    await connection.close()
    return url


@asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncIterator[AsyncEngine]:
    """An engine for the length of the block."""
    engine = create_engine(DatabaseSettings(database_url=SecretStr(url), **settings))
    try:
        yield engine
    finally:
        await engine.dispose()


async def differences(engine: AsyncEngine, metadata: MetaData, schema: str, kept: Collection[str] = ()) -> list[Any]:
    """Differences between a schema and its models, without the columns `kept` (`table.column`) for the last release."""

    def compare(connection: Connection) -> list[Any]:
        options = {
            "compare_type": True,
            "compare_server_default": True,
            "include_schemas": True,
            "include_name": lambda name, kind, _parents: kind != "schema" or name == schema,
            "include_object": lambda item, name, kind, _reflected, _other: (
                name != "alembic_version" and not (kind == "column" and f"{item.table.name}.{name}" in kept)
            ),
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async with transaction(engine) as connection:
        return await connection.run_sync(compare)


async def unmodelled_checks(engine: AsyncEngine, metadata: MetaData, schema: str) -> set[str]:
    """Names of the checks that only the schema or only its models have; Alembic does not compare them."""
    query = text(
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND connamespace = CAST(:schema AS regnamespace)"
    )
    constraints = [constraint for table in metadata.tables.values() for constraint in table.constraints]
    modelled = {str(constraint.name) for constraint in constraints if isinstance(constraint, CheckConstraint)}
    async with transaction(engine) as connection:
        return modelled ^ set((await connection.execute(query, {"schema": schema})).scalars())
