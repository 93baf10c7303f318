"""Throw-away databases on one embedded PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
from sqlalchemy.engine import make_url

from onevoice_kit.db.engine import asyncpg_dsn
from onevoice_local.postgres import EmbeddedPostgres

FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "300",
    "shared_buffers": "64MB",
}
"""Settings for data that is not needed after a crash."""


class PostgresDatabases:
    """Makes databases on a server: empty ones, or copies of one that has been prepared once."""

    def __init__(self, server_url: str) -> None:
        self._url = make_url(server_url)

    @asynccontextmanager
    async def fresh(self, template: str | None = None) -> AsyncIterator[str]:
        """The address of a new database, empty or a copy of `template`; its end closes every connection."""
        name = f"test_{uuid4().hex}"
        await self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template or "template0"}"')
        try:
            yield self._address(name)
        finally:
            await self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    async def prepare_template(self, name: str, prepare: Callable[[str], Awaitable[object]]) -> str:
        """
        Makes the database `name` by `prepare(url)` unless it is there; returns the name, for `fresh`.
        Many processes may ask at once: one prepares it, the others wait.
        """
        connection = await self._connect()
        try:
            await connection.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", name)
            if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
                unfinished = f"{name}_{uuid4().hex}"
                await connection.execute(f'CREATE DATABASE "{unfinished}" TEMPLATE template0')
                await prepare(self._address(unfinished))
                await connection.execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{name}"')
        finally:
            await connection.close()
        return name

    def _address(self, database: str) -> str:
        return self._url.set(database=database).render_as_string(hide_password=False)

    async def _execute(self, statement: str) -> None:
        connection = await self._connect()
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def _connect(self) -> asyncpg.Connection[Any]:
        return await asyncpg.connect(asyncpg_dsn(self._url))


@contextmanager
def postgres_server(folder: Path) -> Iterator[PostgresDatabases]:
    """A fast, unsafe server on a folder; processes that use the same folder share it, the last one stops it."""
    with EmbeddedPostgres(folder, options=FAST) as server:
        yield PostgresDatabases(server.url)
