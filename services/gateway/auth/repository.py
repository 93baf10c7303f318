"""SQL for API keys."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from onevoice_kit.db import uuid7
from services.gateway.auth.keys import hash_key, shown_prefix
from services.gateway.auth.models import Caller, api_keys
from services.gateway.users.models import users

_USED_PRECISION = timedelta(minutes=1)


async def add_key(connection: AsyncConnection, user_id: UUID, key: str, name: str) -> UUID:
    """Stores the hash of a key; returns its id."""
    key_id = uuid7()
    values = {"id": key_id, "user_id": user_id, "name": name, "prefix": shown_prefix(key), "key_hash": hash_key(key)}
    await connection.execute(insert(api_keys).values(values))
    return key_id


async def find_caller(connection: AsyncConnection, key: str) -> Caller | None:
    """The owner of the key; None where it is unknown or revoked or its user disabled. Notes the use, to the minute."""
    statement = (
        select(api_keys.c.user_id, api_keys.c.id, users.c.rights, _is_stale().label("stale"))
        .join(users, users.c.id == api_keys.c.user_id)
        .where(api_keys.c.key_hash == hash_key(key), api_keys.c.revoked_at.is_(None), users.c.disabled_at.is_(None))
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        return None
    if row.stale:
        await connection.execute(update(api_keys).where(api_keys.c.id == row.id).values(last_used_at=func.now()))
    return Caller(user_id=row.user_id, key_id=row.id, rights=frozenset(row.rights))


def _is_stale() -> ColumnElement[bool]:
    return or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < func.now() - _USED_PRECISION)
