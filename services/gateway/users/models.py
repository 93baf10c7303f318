"""Table of users."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Table, Text, Uuid, func
from sqlalchemy.dialects.postgresql import ARRAY

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
