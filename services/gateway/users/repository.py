"""SQL for users."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from onevoice_kit.db import uuid7
from services.gateway.users.models import Right, User, users

_COLUMNS = (users.c.id, users.c.email, users.c.name, users.c.created_at)


async def ensure_user(connection: AsyncConnection, email: str, name: str = "") -> User:
    """The user with this address, made where there is none yet."""
    address = email.strip().lower()
    await connection.execute(
        insert(users).values(id=uuid7(), email=address, name=name).on_conflict_do_nothing(index_elements=["email"])
    )
    row = (await connection.execute(select(*_COLUMNS).where(users.c.email == address))).one()
    return User(*row)


async def grant(connection: AsyncConnection, user_id: UUID, rights: Collection[Right]) -> None:
    """Adds rights to those that a user has."""
    mine = users.c.id == user_id
    present = (await connection.execute(select(users.c.rights).where(mine).with_for_update())).scalar_one()
    await connection.execute(update(users).where(mine).values(rights=sorted({*present, *rights})))


async def get_user(connection: AsyncConnection, user_id: UUID) -> User | None:
    """The user with this id, unless disabled."""
    found = await connection.execute(select(*_COLUMNS).where(users.c.id == user_id, users.c.disabled_at.is_(None)))
    row = found.one_or_none()
    return None if row is None else User(*row)
