"""Table of API keys; only hashes are stored."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Column, DateTime, ForeignKey, Index, Table, Text, Uuid, func

from services.gateway.database import metadata
from services.gateway.users.models import Right, users

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
