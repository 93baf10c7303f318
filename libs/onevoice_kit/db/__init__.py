"""PostgreSQL: engines, transactions, time-ordered ids, notifications and migrations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onevoice_kit.db.engine import asyncpg_dsn, create_engine, session_factory, sqlalchemy_url, transaction
from onevoice_kit.db.ids import uuid7
from onevoice_kit.db.listener import Listener, Subscription

if TYPE_CHECKING:
    from onevoice_kit.db.migrations import migrate

__all__ = [
    "Listener",
    "Subscription",
    "asyncpg_dsn",
    "create_engine",
    "migrate",
    "session_factory",
    "sqlalchemy_url",
    "transaction",
    "uuid7",
]


def __getattr__(name: str) -> object:
    """Alembic costs a quarter of a second; only a migration imports it."""
    if name == "migrate":
        from onevoice_kit.db.migrations import migrate

        return migrate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
