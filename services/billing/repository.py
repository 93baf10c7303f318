"""The SQL of billing. Every function works in the caller's transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Row, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from onevoice_kit.db import uuid7
from services.billing.models import (
    MOVEMENTS,
    Account,
    Entry,
    EntryKind,
    Reservation,
    ReservationState,
    accounts,
    entries,
    reservations,
)

_RESERVATION = (
    reservations.c.reservation_id,
    reservations.c.user_id,
    reservations.c.credits,
    reservations.c.state,
    reservations.c.spent,
    reservations.c.job,
)
_ENTRY = tuple(column for column in entries.c if column.name not in ("user_id", "job_id"))


async def find_account(connection: AsyncConnection, user_id: str, *, lock: bool = False) -> Account | None:
    """An account, locked until the end of the transaction where asked."""
    statement = select(accounts.c.user_id, accounts.c.available, accounts.c.reserved)
    statement = statement.where(accounts.c.user_id == user_id)
    row = (await connection.execute(statement.with_for_update() if lock else statement)).one_or_none()
    return Account(row.user_id, row.available, row.reserved) if row else None


async def insert_account(connection: AsyncConnection, user_id: str) -> bool:
    """Opens an empty account; False where there is one already."""
    statement = upsert(accounts).values(user_id=user_id).on_conflict_do_nothing().returning(accounts.c.user_id)
    return (await connection.execute(statement)).one_or_none() is not None


async def record(
    connection: AsyncConnection,
    user_id: str,
    kind: EntryKind,
    credits_: int,
    reservation_id: str | None = None,
    job_id: str | None = None,
) -> Account:
    """Writes an entry and moves the balances by it, in one statement; returns the account afterwards."""
    debit, credit = MOVEMENTS[kind]
    entry = insert(entries).values(
        id=uuid7(),
        user_id=user_id,
        kind=kind,
        reservation_id=reservation_id,
        job=job_id or None,
        credits=credits_,
        debit_account=debit,
        credit_account=credit,
    )
    statement = (
        update(accounts)
        .where(accounts.c.user_id == user_id)
        .values(
            available=_moved(accounts.c.available, "available", debit, credit, credits_),
            reserved=_moved(accounts.c.reserved, "reserved", debit, credit, credits_),
        )
        .returning(accounts.c.user_id, accounts.c.available, accounts.c.reserved)
        .add_cte(entry.cte("entry"))
    )
    row = (await connection.execute(statement)).one()
    return Account(row.user_id, row.available, row.reserved)


async def find_reservation(
    connection: AsyncConnection, reservation_id: str, *, lock: bool = False
) -> Reservation | None:
    """A reservation, locked until the end of the transaction where asked."""
    statement = select(*_RESERVATION).where(reservations.c.reservation_id == reservation_id)
    row = (await connection.execute(statement.with_for_update() if lock else statement)).one_or_none()
    return _reservation(row) if row else None


async def insert_reservation(
    connection: AsyncConnection, reservation_id: str, user_id: str, credits_: int, job_id: str
) -> bool:
    """Opens a reservation; False where it exists, also where another transaction just wrote it."""
    values = {
        "reservation_id": reservation_id,
        "job": job_id or None,
        "user_id": user_id,
        "credits": credits_,
        "state": ReservationState.OPEN,
    }
    return await _insert_reservation(connection, values)


async def insert_void(connection: AsyncConnection, reservation_id: str) -> bool:
    """Stores that a reservation was released before it was made; False where it exists."""
    values = {
        "reservation_id": reservation_id,
        "credits": 0,
        "state": ReservationState.RELEASED,
        "closed_at": func.now(),
    }
    return await _insert_reservation(connection, values)


async def close_reservation(
    connection: AsyncConnection, reservation_id: str, state: ReservationState, spent: int
) -> None:
    """Ends a reservation that the transaction has locked."""
    statement = (
        update(reservations)
        .where(reservations.c.reservation_id == reservation_id, reservations.c.state == ReservationState.OPEN)
        .values(state=state, spent=spent, closed_at=func.now())
    )
    await connection.execute(statement)


async def list_open(connection: AsyncConnection, min_age_s: int, after: str, limit: int) -> list[str]:
    """Ids of reservations after `after` that are open and of at least this age, in order of the ids."""
    oldest = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, min_age_s)
    statement = (
        select(reservations.c.reservation_id)
        .where(reservations.c.state == ReservationState.OPEN, reservations.c.created_at <= oldest)
        .where(reservations.c.reservation_id > after)
        .order_by(reservations.c.reservation_id)
        .limit(limit)
    )
    return list((await connection.execute(statement)).scalars())


async def list_entries(connection: AsyncConnection, user_id: str, before: int | None, limit: int) -> list[Entry]:
    """Entries of an account, newest first, only those numbered below `before` where given."""
    statement = select(*_ENTRY).where(entries.c.user_id == user_id)
    if before is not None:
        statement = statement.where(entries.c.number < before)
    statement = statement.order_by(entries.c.number.desc()).limit(limit)
    return [_entry(row) for row in await connection.execute(statement)]


async def _insert_reservation(connection: AsyncConnection, values: dict[str, Any]) -> bool:
    statement = upsert(reservations).values(values).on_conflict_do_nothing().returning(reservations.c.reservation_id)
    return (await connection.execute(statement)).one_or_none() is not None


def _moved(balance: ColumnElement[int], name: str, debit: str, credit: str, credits_: int) -> ColumnElement[int]:
    return balance + credits_ * ((credit == name) - (debit == name))


def _reservation(row: Row[*tuple[Any, ...]]) -> Reservation:
    return Reservation(row.reservation_id, row.user_id, row.credits, ReservationState(row.state), row.spent, row.job)


def _entry(row: Row[*tuple[Any, ...]]) -> Entry:
    return Entry(
        row.number,
        row.id,
        EntryKind(row.kind),
        row.reservation_id,
        row.job,
        row.credits,
        row.debit_account,
        row.credit_account,
        row.created_at,
    )
