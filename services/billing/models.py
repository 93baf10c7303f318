"""Accounts, reservations and entries: the tables of the schema `billing`, and the values made from their rows."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

SCHEMA = "billing"


class EntryKind(enum.StrEnum):
    """Kind of movement that an entry of the ledger records."""

    GRANT = "grant"
    RESERVE = "reserve"
    SETTLE = "settle"
    RELEASE = "release"


MOVEMENTS: Mapping[EntryKind, tuple[str, str]] = {
    EntryKind.GRANT: ("issued", "available"),
    EntryKind.RESERVE: ("available", "reserved"),
    EntryKind.SETTLE: ("reserved", "revenue"),
    EntryKind.RELEASE: ("reserved", "available"),
}
"""The account that each kind debits and the one that it credits."""


class ReservationState(enum.StrEnum):
    """State of a reservation; it leaves `open` once."""

    OPEN = "open"
    SETTLED = "settled"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Account:
    """A customer's account."""

    user_id: str
    available: int
    """Credits that can be spent now."""
    reserved: int
    """Credits set aside for running jobs."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Credits set aside, or spent, or given back."""

    id: str
    user_id: str | None
    """None where the release came before anything was reserved."""
    credits: int
    state: ReservationState
    spent: int
    job_id: str | None
    """The job it is for, where it names one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement of credits; written once, never changed."""

    number: int
    """Grows in the order of commit within an account."""
    id: UUID
    kind: EntryKind
    reservation_id: str | None
    job_id: str | None
    credits: int
    debit_account: str
    credit_account: str
    created_at: datetime


metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    },
)

# Ids of users and jobs belong to other services, so they are text here. `job` is the label. `job_id` holds
# `reservation_id` under its former name: the release before reads and writes it, a trigger keeps both equal, and the
# next release drops it (ADR 012).
accounts = Table(
    "accounts",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("available", BigInteger, nullable=False, server_default="0"),
    Column("reserved", BigInteger, nullable=False, server_default="0"),
    Column("opened_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("available >= 0 AND reserved >= 0", name="balances"),
)

reservations = Table(
    "reservations",
    metadata,
    Column("reservation_id", Text, primary_key=True),
    Column("job", Text),
    Column("job_id", Text),
    Column("user_id", Text, ForeignKey("billing.accounts.user_id")),
    Column("credits", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("spent", BigInteger, nullable=False, server_default="0"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("closed_at", DateTime(timezone=True)),
    CheckConstraint("state IN ('open', 'settled', 'released')", name="state"),
    CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed"),
    CheckConstraint("spent BETWEEN 0 AND CASE state WHEN 'settled' THEN credits ELSE 0 END", name="spent"),
    CheckConstraint("credits > 0 OR credits = 0 AND user_id IS NULL AND state = 'released'", name="credits"),
    Index("reservations_open_idx", "reservation_id", postgresql_where=text("state = 'open'")),
)

_MOVEMENTS = ", ".join(f"('{kind}', '{debit}', '{credit}')" for kind, (debit, credit) in MOVEMENTS.items())

entries = Table(
    "entries",
    metadata,
    Column("number", BigInteger, Identity(always=True), primary_key=True),
    Column("id", Uuid, nullable=False, unique=True),
    Column("user_id", Text, ForeignKey("billing.accounts.user_id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("reservation_id", Text),
    Column("job", Text),
    Column("job_id", Text),
    Column("credits", BigInteger, nullable=False),
    Column("debit_account", Text, nullable=False),
    Column("credit_account", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("reservation_id", "kind"),
    CheckConstraint("credits > 0", name="credits"),
    CheckConstraint("(kind = 'grant') = (reservation_id IS NULL)", name="reservation"),
    CheckConstraint(f"(kind, debit_account, credit_account) IN ({_MOVEMENTS})", name="movement"),
    Index("entries_user_idx", "user_id", text("number DESC")),
)
