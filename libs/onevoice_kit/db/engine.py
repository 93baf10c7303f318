"""SQLAlchemy engines and transactions whose failures are errors of the kit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from onevoice_kit.db.connections import LOST, BoundedConnection, bound
from onevoice_kit.errors import Busy, DeadlineExceeded, OneVoiceError, Unavailable
from onevoice_kit.settings import DatabaseSettings

POOL_TIMEOUT_S = 10.0
_QUERY_CANCELED = "57014"
_LOST_TO_ANOTHER = {"40001", "40P01", "55P03"}
"""Serialization failure, deadlock, lock timeout."""
_OUT_OF_ORDER = ("08", "53", "57", "58", "25006", "25P03")
"""
Begin of the code where the server cannot do what any other could: connection lost, short of disk, memory or
connections, shut down, broken, become a read-only replica, tired of an idle transaction.
https://www.postgresql.org/docs/current/errcodes-appendix.html
"""


def sqlalchemy_url(database_url: str) -> URL:
    """`postgresql://…` as SQLAlchemy wants it for asyncpg; Unix-socket addresses (`?host=/folder`) stay as they are."""
    return make_url(database_url).set(drivername="postgresql+asyncpg")


def asyncpg_dsn(database_url: str | URL) -> str:
    """The same address for asyncpg itself, which takes no driver suffix."""
    return make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)


def create_engine(settings: DatabaseSettings) -> AsyncEngine:
    """An engine with a bounded pool, checked connections and limits on how long a statement runs and is waited for."""
    engine = create_async_engine(
        sqlalchemy_url(settings.database_url.get_secret_value()),
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        connect_args={
            "connection_class": BoundedConnection,
            "timeout": settings.database_connect_timeout_s,
            # PostgreSQL's own limit below helps only as long as PostgreSQL can be heard.
            "command_timeout": settings.database_answer_timeout_s,
            "server_settings": {
                "application_name": "onevoice",
                "statement_timeout": str(settings.database_statement_timeout_ms),
                # A worker that hangs inside a transaction must not hold its locks for ever.
                "idle_in_transaction_session_timeout": str(2 * settings.database_statement_timeout_ms),
            },
        },
    )
    bound(engine, settings.database_connect_timeout_s)
    return engine


def session_factory(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Sessions whose objects stay readable after a commit."""
    return async_sessionmaker(engine, expire_on_commit=False)


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """
    One transaction: committed at the end of the block, rolled back when it raises.

    Raises `Unavailable` (reason `database_unavailable`), `Busy` (reason `database_busy`) when no connection is
    free or another transaction was in the way, and `DeadlineExceeded` (reason `database_timeout`) when a
    statement ran too long. Other database errors, such as broken constraints, stay SQLAlchemy's.
    """
    connection = await _connect(engine)
    try:
        async with connection.begin():
            yield connection
    except DBAPIError as error:
        if (translated := _translated(error)) is not None:
            raise translated from error
        raise
    finally:
        await connection.close()


async def _connect(engine: AsyncEngine) -> AsyncConnection:
    try:
        return await engine.connect()
    except PoolTimeoutError as error:
        raise Busy("All database connections are in use.", reason="database_busy") from error
    except (*LOST, DBAPIError) as error:
        raise Unavailable("The database does not answer.", reason="database_unavailable") from error


def _translated(error: DBAPIError) -> OneVoiceError | None:
    code = getattr(error.orig, "sqlstate", None) or ""
    if code == _QUERY_CANCELED:
        return DeadlineExceeded("The database took too long.", reason="database_timeout")
    if error.connection_invalidated or code.startswith(_OUT_OF_ORDER):
        return Unavailable("The database does not answer.", reason="database_unavailable")
    if code in _LOST_TO_ANOTHER:
        return Busy("Another transaction was in the way.", reason="database_busy")
    return None
