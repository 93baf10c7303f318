"""Connections to PostgreSQL that never wait for ever, whatever has become of the other side."""

from __future__ import annotations

import time
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_kit.errors import Unavailable

CONNECT_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 1.0
"""For an orderly close; then the connection is dropped. The pool closes its connections one after the other."""
_TRUSTED_S = 1.0
"""A connection that was used this short a while ago is taken without a check."""
LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""
Errors of a lost or refused connection (a timeout is an OSError; a statement that is sent while the server closes the
connection gets asyncpg's internal error).
"""


class BoundedConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg ships no types
    """An asyncpg connection that is closed within a second, also when the server is gone."""

    async def close(self, *, timeout: float | None = None) -> None:
        """In good order within `CLOSE_TIMEOUT_S` (or `timeout`, where that is shorter), else without one."""
        try:
            await super().close(timeout=min(timeout or CLOSE_TIMEOUT_S, CLOSE_TIMEOUT_S))
        except LOST:
            self.terminate()


def bound(engine: AsyncEngine, ping_timeout_s: float) -> None:
    """
    Makes the engine notice dead connections: an idle one is pinged before it is used, and a
    ping without a reply within the time raises `Unavailable` (reason `database_unavailable`). In both cases every
    older connection of the pool counts as dead too, so that each of them does not cost a timeout of its own.
    """

    def checkout(connection: Any, record: Any, _proxy: Any) -> None:
        now = time.monotonic()
        used_at = record.info.get("used_at", now)  # a new connection needs no ping
        if connection.driver_connection.is_closed():  # the end has been heard
            raise InvalidatePoolError
        if now - used_at > _TRUSTED_S:
            _ping(connection, ping_timeout_s)
        record.info["used_at"] = now

    def checkin(_connection: Any, record: Any) -> None:
        record.info["used_at"] = time.monotonic()

    event.listen(engine.sync_engine, "checkout", checkout)
    event.listen(engine.sync_engine, "checkin", checkin)
    event.listen(engine.sync_engine, "handle_error", _silence_is_a_lost_connection, retval=True)


def _ping(connection: Any, timeout_s: float) -> None:
    # asyncpg's own timeouts leave a silent connection in doubt; one that failed here is never used again anyway.
    try:
        connection.run_async(lambda raw: raw.execute("SELECT 1", timeout=timeout_s))
    except LOST as error:
        connection.run_async(_drop)
        raise InvalidatePoolError from error


async def _drop(connection: asyncpg.Connection[Any]) -> None:
    connection.terminate()


def _silence_is_a_lost_connection(context: ExceptionContext) -> BaseException | None:
    if not isinstance(context.original_exception, OSError):  # a timeout is one
        return None
    context.is_disconnect = True
    error = Unavailable("The database does not answer.", reason="database_unavailable")
    error.__cause__ = context.original_exception
    return error
