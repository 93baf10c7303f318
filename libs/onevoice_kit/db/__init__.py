"""PostgreSQL: engines, transactions, time-ordered ids, notifications and migrations."""

from __future__ import annotations

from onevoice_kit.db.engine import asyncpg_dsn, create_engine, session_factory, sqlalchemy_url, transaction
from onevoice_kit.db.ids import uuid7
from onevoice_kit.db.listener import Listener, Subscription
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
