"""The table of answers to creating calls, and its SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    Interval,
    Table,
    Text,
    Uuid,
    bindparam,
    delete,
    false,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.gateway.database import metadata

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_id", Uuid, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("operation", Text, nullable=False),
    Column("request_hash", Text, nullable=False),
    Column("resource_id", Uuid, nullable=False),
    Column("response_status", Integer),
    Column("response_body", JSONB),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("running_until", DateTime(timezone=True), nullable=False),
    Column("abandoned", Boolean, nullable=False, server_default=false()),
    Index(None, "created_at"),
)
"""
One row per creating call: written before the work starts, answered in the transaction that creates the resource.
`resource_id` is chosen first, so that a repeated call after a crash makes the same resource, and so that what a
dead call left behind elsewhere (a reservation) can be found.
"""


@dataclass(frozen=True, slots=True)
class Record:
    """The record of a creating call; `response_status` is None while it runs."""

    user_id: UUID
    key: str
    operation: str
    request_hash: str
    resource_id: UUID
    response_status: int | None = None
    response_body: Mapping[str, Any] | None = None


_COLUMNS = [idempotency_keys.c[name] for name in Record.__dataclass_fields__]


_CLAIM = (
    insert(idempotency_keys)
    .values(running_until=func.now() + bindparam("running", type_=Interval))
    .on_conflict_do_nothing()
    .returning(idempotency_keys.c.key)
)


async def insert_running(connection: AsyncConnection, record: Record, running: timedelta) -> bool:
    """Claims the key; False where it is taken."""
    row = {
        "user_id": record.user_id,
        "key": record.key,
        "operation": record.operation,
        "request_hash": record.request_hash,
        "resource_id": record.resource_id,
        "running": running,
    }
    return (await connection.execute(_CLAIM, row)).one_or_none() is not None


async def find(connection: AsyncConnection, user_id: UUID, key: str) -> Record | None:
    """The record under a key."""
    statement = select(*_COLUMNS).where(idempotency_keys.c.user_id == user_id, idempotency_keys.c.key == key)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else Record(*row)


async def forget_expired(connection: AsyncConnection, record: Record, keep: timedelta) -> bool:
    """Drops the answer under this key if it is older than `keep`; returns whether it was."""
    mine = (idempotency_keys.c.user_id == record.user_id, idempotency_keys.c.key == record.key)
    return (await connection.execute(delete(idempotency_keys).where(*mine, *_is_old(keep)))).rowcount == 1


_ANSWER = (
    update(idempotency_keys)
    .where(
        idempotency_keys.c.user_id == bindparam("user"),
        idempotency_keys.c.key == bindparam("own_key"),
        idempotency_keys.c.resource_id == bindparam("resource"),
        idempotency_keys.c.response_status.is_(None),
        idempotency_keys.c.abandoned.is_(False),
    )
    .values(response_status=bindparam("status"), response_body=bindparam("body"))
)


async def answer(connection: AsyncConnection, record: Record, status: int, body: Mapping[str, Any]) -> bool:
    """Stores the answer; False where the record is no longer ours."""
    own = {"user": record.user_id, "own_key": record.key, "resource": record.resource_id}
    answered = {"status": status, "body": dict(body)}
    return (await connection.execute(_ANSWER, {**own, **answered})).rowcount == 1


async def forget(connection: AsyncConnection, record: Record) -> bool:
    """Drops a running record; False where it is no longer ours."""
    running = (*_is_unanswered(record), idempotency_keys.c.abandoned.is_(False))
    return (await connection.execute(delete(idempotency_keys).where(*running))).rowcount == 1


async def abandon(connection: AsyncConnection, record: Record) -> bool:
    """Makes sure that a call can no longer succeed, so that it can be undone; False where it has succeeded."""
    statement = update(idempotency_keys).where(*_is_unanswered(record)).values(abandoned=True)
    return (await connection.execute(statement)).rowcount == 1


async def forget_abandoned(connection: AsyncConnection, record: Record) -> None:
    """Drops the record of a call that has been undone."""
    await connection.execute(delete(idempotency_keys).where(*_is_unanswered(record), idempotency_keys.c.abandoned))


async def dead(connection: AsyncConnection, limit: int) -> list[Record]:
    """Records of calls that never finished, those first that were looked at longest ago."""
    statement = (
        select(*_COLUMNS)
        .where(idempotency_keys.c.response_status.is_(None), idempotency_keys.c.running_until < func.now())
        .order_by(idempotency_keys.c.running_until)
        .limit(limit)
    )
    return [Record(*row) for row in await connection.execute(statement)]


async def postpone(connection: AsyncConnection, record: Record, running: timedelta) -> None:
    """Lets a record that could not be cleaned up now count as running for so long, so that others come first."""
    later = update(idempotency_keys).where(*_is_unanswered(record)).values(running_until=func.now() + running)
    await connection.execute(later)


async def forget_answered(connection: AsyncConnection, older_than: timedelta) -> int:
    """Drops answers that need no longer be remembered; returns how many."""
    return (await connection.execute(delete(idempotency_keys).where(*_is_old(older_than)))).rowcount


def _is_old(keep: timedelta) -> tuple[Any, ...]:
    return idempotency_keys.c.response_status.is_not(None), idempotency_keys.c.created_at < func.now() - keep


def _is_unanswered(record: Record) -> tuple[Any, ...]:
    return (
        idempotency_keys.c.user_id == record.user_id,
        idempotency_keys.c.key == record.key,
        idempotency_keys.c.resource_id == record.resource_id,
        idempotency_keys.c.response_status.is_(None),
    )
