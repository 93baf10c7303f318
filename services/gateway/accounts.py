"""Users and their API keys, of which only hashes are stored: tables, SQL, and the caller of a request."""

from __future__ import annotations

import enum
import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Table,
    Text,
    Uuid,
    bindparam,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from onevoice_kit.db import transaction, uuid7
from onevoice_kit.errors import Unauthenticated, Unavailable
from onevoice_kit.retry import Backoff, Retry
from services.gateway.database import metadata


class Right(enum.StrEnum):
    """Something that an account may do beyond the ordinary."""

    HIGH_PRIORITY = "high_priority"
    """Submit jobs with priority `high`."""
    OPERATOR = "operator"
    """See the names of machines and processes in the health report."""


users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, server_default=""),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("disabled_at", DateTime(timezone=True)),
    Column("storage_quota_bytes", BigInteger),
    Column("rights", ARRAY(Text), nullable=False, server_default="{}"),
)


@dataclass(frozen=True, slots=True)
class User:
    """A person with an account."""

    id: UUID
    email: str
    name: str
    created_at: datetime


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


_USER = select(*_COLUMNS).where(users.c.id == bindparam("user"), users.c.disabled_at.is_(None))


async def get_user(connection: AsyncConnection, user_id: UUID) -> User | None:
    """The user with this id, unless disabled."""
    row = (await connection.execute(_USER, {"user": user_id})).one_or_none()
    return None if row is None else User(*row)


_PREFIX = "ov_"
_SHOWN = len(_PREFIX) + 8


def new_key() -> str:
    """A fresh key: `ov_` and 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    """The stored hash of a key. Keys are random, so a plain SHA-256 cannot be searched backwards."""
    return hashlib.sha256(key.encode()).hexdigest()


def shown_prefix(key: str) -> str:
    """The start of a key, by which its owner recognises it."""
    return key[:_SHOWN]


def looks_like_key(text: str) -> bool:
    """True if a text may be a key at all."""
    return text.startswith(_PREFIX) and 20 <= len(text) <= 100 and text.isascii()


api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("key_hash", Text, nullable=False, unique=True),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("last_used_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    Index(None, "user_id"),
)


@dataclass(frozen=True, slots=True)
class Caller:
    """The account and the key of a request."""

    user_id: UUID
    key_id: UUID
    rights: frozenset[str] = frozenset()

    def may(self, right: Right) -> bool:
        """True where the account has this right."""
        return right in self.rights


_USED_PRECISION = timedelta(minutes=1)
_IS_STALE = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < func.now() - _USED_PRECISION)
_CALLER = (
    select(api_keys.c.user_id, api_keys.c.id, users.c.rights, _IS_STALE.label("stale"))
    .join(users, users.c.id == api_keys.c.user_id)
    .where(api_keys.c.key_hash == bindparam("hash"), api_keys.c.revoked_at.is_(None), users.c.disabled_at.is_(None))
)


async def add_key(connection: AsyncConnection, user_id: UUID, key: str, name: str) -> UUID:
    """Stores the hash of a key; returns its id."""
    key_id = uuid7()
    values = {"id": key_id, "user_id": user_id, "name": name, "prefix": shown_prefix(key), "key_hash": hash_key(key)}
    await connection.execute(insert(api_keys).values(values))
    return key_id


async def find_caller(connection: AsyncConnection, key: str) -> Caller | None:
    """The owner of the key; None where it is unknown or revoked or its user disabled. Notes the use, to the minute."""
    row = (await connection.execute(_CALLER, {"hash": hash_key(key)})).one_or_none()
    if row is None:
        return None
    if row.stale:
        await connection.execute(update(api_keys).where(api_keys.c.id == row.id).values(last_used_at=func.now()))
    return Caller(user_id=row.user_id, key_id=row.id, rights=frozenset(row.rights))


_ONCE_MORE = Retry(
    Backoff(first_s=0.0), attempts=2, budget_s=1.0, transient=lambda error: isinstance(error, Unavailable)
)
"""
This is the first statement of a request, so it is the one that meets a connection that broke since its last use; the
next one is new. A database that is away costs no second timeout: the budget is shorter.
"""


class Authenticator:
    """Recognises API keys."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def caller(self, key: str | None) -> Caller:
        """The owner of the key; `Unauthenticated` (reasons `missing_credentials`, `invalid_api_key`)."""
        if not key:
            raise Unauthenticated("Send an API key as bearer token.", reason="missing_credentials")
        if not looks_like_key(key):
            raise _invalid()
        found = await _ONCE_MORE.call(lambda: self._find(key))
        if found is None:
            raise _invalid()
        return found

    async def _find(self, key: str) -> Caller | None:
        async with transaction(self._engine) as connection:
            return await find_caller(connection, key)


def _invalid() -> Unauthenticated:
    return Unauthenticated("The API key is not valid.", reason="invalid_api_key")
