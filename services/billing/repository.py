"""The SQL of billing. Every function works in the caller's transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, Text, bindparam, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

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

# Built once: building a statement costs more than executing it (ADR 030).
_FIND_ACCOUNT = select(accounts.c.user_id, accounts.c.available, accounts.c.reserved).where(
    accounts.c.user_id == bindparam("user")
)
_LOCK_ACCOUNT = _FIND_ACCOUNT.with_for_update()
_FIND_RESERVATION = select(*_RESERVATION).where(reservations.c.reservation_id == bindparam("reservation"))
_LOCK_RESERVATION = _FIND_RESERVATION.with_for_update()
_INSERT_RESERVATION = upsert(reservations).on_conflict_do_nothing().returning(reservations.c.reservation_id)
_CLOSE_RESERVATION = (
    update(reservations)
    .where(reservations.c.reservation_id == bindparam("reservation"), reservations.c.state == ReservationState.OPEN)
    .values(state=bindparam("closed"), spent=bindparam("credits_spent"), closed_at=func.now())
)


def _movement(kind: EntryKind) -> ReturningUpdate[tuple[Any, ...]]:
    """Writes an entry and moves the balances by it."""
    debit, credit = MOVEMENTS[kind]
    amount = bindparam("amount", type_=BigInteger)
    entry = insert(entries).values(
        id=bindparam("entry"),
        user_id=bindparam("user", type_=Text),
        kind=kind,
        reservation_id=bindparam("reservation", type_=Text),
        job=bindparam("for_job", type_=Text),
        credits=amount,
        debit_account=debit,
        credit_account=credit,
    )
    return (
        update(accounts)
        .where(accounts.c.user_id == bindparam("user", type_=Text))
        .values(
            available=_moved(accounts.c.available, "available", debit, credit, amount),
            reserved=_moved(accounts.c.reserved, "reserved", debit, credit, amount),
        )
        .returning(accounts.c.user_id, accounts.c.available, accounts.c.reserved)
        .add_cte(entry.cte("entry"))
    )


def _moved(
    balance: ColumnElement[int], name: str, debit: str, credit: str, amount: ColumnElement[int]
) -> ColumnElement[int]:
    return balance + amount * ((credit == name) - (debit == name))


_MOVE = {kind: _movement(kind) for kind in EntryKind}


async def find_account(connection: AsyncConnection, user_id: str, *, lock: bool = False) -> Account | None:
    """An account, locked until the end of the transaction where asked."""
    statement = _LOCK_ACCOUNT if lock else _FIND_ACCOUNT
    row = (await connection.execute(statement, {"user": user_id})).one_or_none()
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
    parameters = {
        "entry": uuid7(),
        "user": user_id,
        "reservation": reservation_id,
        "for_job": job_id or None,
        "amount": credits_,
    }
    row = (await connection.execute(_MOVE[kind], parameters)).one()
    return Account(row.user_id, row.available, row.reserved)


async def find_reservation(
    connection: AsyncConnection, reservation_id: str, *, lock: bool = False
) -> Reservation | None:
    """A reservation, locked until the end of the transaction where asked."""
    statement = _LOCK_RESERVATION if lock else _FIND_RESERVATION
    row = (await connection.execute(statement, {"reservation": reservation_id})).one_or_none()
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
    return (await connection.execute(_INSERT_RESERVATION, values)).one_or_none() is not None


async def insert_void(connection: AsyncConnection, reservation_id: str) -> bool:
    """Stores that a reservation was released before it was made; False where it exists."""
    values = {"reservation_id": reservation_id, "credits": 0, "state": ReservationState.RELEASED}
    statement = _INSERT_RESERVATION.values(closed_at=func.now())
    return (await connection.execute(statement, values)).one_or_none() is not None


async def close_reservation(
    connection: AsyncConnection, reservation_id: str, state: ReservationState, spent: int
) -> None:
    """Ends a reservation that the transaction has locked."""
    parameters = {"reservation": reservation_id, "closed": state, "credits_spent": spent}
    await connection.execute(_CLOSE_RESERVATION, parameters)


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
