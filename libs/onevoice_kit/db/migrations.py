"""Alembic without its command line: one history per schema, run under a lock, in one transaction."""

from __future__ import annotations

import logging
from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateSchema

from onevoice_kit.db.connections import CONNECT_TIMEOUT_S
from onevoice_kit.db.engine import sqlalchemy_url, transaction

_log = logging.getLogger(__name__)
LOCK_TIMEOUT_S = 60
"""Longest wait for another migration, or for a table that a running service holds."""


async def migrate(database_url: str, script_location: Path, schema: str, *, revision: str = "head") -> str | None:
    """
    Brings `schema` to `revision` and returns the revision it is at then.

    `script_location` holds `versions/*.py` (no `env.py` is needed). The schema is created where missing; the
    version table lies inside it, so several histories share one database. Safe to call from many processes at
    once: they take turns, and the later ones find nothing to do. All steps of one call commit together.
    """
    engine = create_async_engine(
        sqlalchemy_url(database_url), poolclass=NullPool, connect_args={"timeout": CONNECT_TIMEOUT_S}
    )
    try:
        async with transaction(engine) as connection:
            return await connection.run_sync(_upgrade, script_location, schema, revision)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, script_location: Path, schema: str, revision: str) -> str | None:
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"migrate:{schema}"})
    connection.execute(CreateSchema(schema, if_not_exists=True))
    config = Config()
    config.set_main_option("script_location", str(script_location).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)

    def steps(present: str, _context: MigrationContext) -> list[MigrationStep]:
        return list(scripts._upgrade_revs(revision, present))  # noqa: SLF001 - what alembic's own `upgrade` calls

    with EnvironmentContext(config, scripts, fn=steps, destination_rev=revision) as environment:
        environment.configure(connection=connection, version_table_schema=schema, transactional_ddl=True)
        environment.run_migrations()
        present = environment.get_context().get_current_revision()
    _log.info("schema is up to date", extra={"schema": schema, "revision": present})
    return present
