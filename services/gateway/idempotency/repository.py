"""SQL for answers to creating calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.gateway.idempotency.models import idempotency_keys as table


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


_COLUMNS = [table.c[name] for name in Record.__dataclass_fields__]


async def insert_running(connection: AsyncConnection, record: Record, running: timedelta) -> bool:
    """Claims the key; False where it is taken."""
    statement = insert(table).values(
        user_id=record.user_id,
        key=record.key,
        operation=record.operation,
        request_hash=record.request_hash,
        resource_id=record.resource_id,
        running_until=func.now() + running,
    )
    claimed = await connection.execute(statement.on_conflict_do_nothing().returning(table.c.key))
    return claimed.one_or_none() is not None


async def find(connection: AsyncConnection, user_id: UUID, key: str) -> Record | None:
    """The record under a key."""
    statement = select(*_COLUMNS).where(table.c.user_id == user_id, table.c.key == key)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else Record(*row)


async def forget_expired(connection: AsyncConnection, record: Record, keep: timedelta) -> bool:
    """Drops the answer under this key if it is older than `keep`; returns whether it was."""
    mine = (table.c.user_id == record.user_id, table.c.key == record.key)
    return (await connection.execute(delete(table).where(*mine, *_is_old(keep)))).rowcount == 1


async def answer(connection: AsyncConnection, record: Record, status: int, body: Mapping[str, Any]) -> bool:
    """Stores the answer; False where the record is no longer ours."""
    running = (*_is_unanswered(record), table.c.abandoned.is_(False))
    statement = update(table).where(*running).values(response_status=status, response_body=dict(body))
    return (await connection.execute(statement)).rowcount == 1


async def forget(connection: AsyncConnection, record: Record) -> bool:
    """Drops a running record; False where it is no longer ours."""
    running = (*_is_unanswered(record), table.c.abandoned.is_(False))
    return (await connection.execute(delete(table).where(*running))).rowcount == 1


async def abandon(connection: AsyncConnection, record: Record) -> bool:
    """Makes sure that a call can no longer succeed, so that it can be undone; False where it has succeeded."""
    statement = update(table).where(*_is_unanswered(record)).values(abandoned=True)
    return (await connection.execute(statement)).rowcount == 1


async def forget_abandoned(connection: AsyncConnection, record: Record) -> None:
    """Drops the record of a call that has been undone."""
    await connection.execute(delete(table).where(*_is_unanswered(record), table.c.abandoned))


async def dead(connection: AsyncConnection, limit: int) -> list[Record]:
    """Records of calls that never finished, those first that were looked at longest ago."""
    statement = (
        select(*_COLUMNS)
        .where(table.c.response_status.is_(None), table.c.running_until < func.now())
        .order_by(table.c.running_until)
        .limit(limit)
    )
    return [Record(*row) for row in await connection.execute(statement)]


async def postpone(connection: AsyncConnection, record: Record, running: timedelta) -> None:
    """Lets a record that could not be cleaned up now count as running for so long, so that others come first."""
    later = update(table).where(*_is_unanswered(record)).values(running_until=func.now() + running)
    await connection.execute(later)


async def forget_answered(connection: AsyncConnection, older_than: timedelta) -> int:
    """Drops answers that need no longer be remembered; returns how many."""
    return (await connection.execute(delete(table).where(*_is_old(older_than)))).rowcount


def _is_old(keep: timedelta) -> tuple[Any, ...]:
    return table.c.response_status.is_not(None), table.c.created_at < func.now() - keep


def _is_unanswered(record: Record) -> tuple[Any, ...]:
    return (
        table.c.user_id == record.user_id,
        table.c.key == record.key,
        table.c.resource_id == record.resource_id,
        table.c.response_status.is_(None),
    )
