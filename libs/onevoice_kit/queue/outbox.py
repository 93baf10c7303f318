"""The outbox table: messages written in the transaction that decides about them, and the queue that works on it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    Interval,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.elements import ColumnElement

from onevoice_kit.db.engine import asyncpg_dsn, transaction
from onevoice_kit.db.listener import Listener
from onevoice_kit.errors import Conflict, OneVoiceError
from onevoice_kit.queue.base import Delivery, Message, QueueDepth
from onevoice_kit.queue.order import AGE_S, turns

MAX_RECEIVES = 5
RECEIVED_TOO_OFTEN = "received_too_often"
_BURIED_AT_ONCE = 10
_POLL_S = 2.0
"""Time between polls of a waiting receiver without a notification, for messages whose visibility ended."""


def outbox_table(metadata: MetaData, schema: str) -> Table:
    """The table `{schema}.outbox`. Rows leave by `delete`, stay with `dead_at` set, or, relayed, with `sent_at` set."""
    table = Table(
        "outbox",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("body", Text, nullable=False),
        Column("attributes", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
        Column("group_id", Text, nullable=False, server_default=""),
        Column("priority", SmallInteger, nullable=False, server_default="0"),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("available_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("claimed_until", DateTime(timezone=True)),
        Column("receive_count", BigInteger, nullable=False, server_default="0"),
        Column("handle", Uuid),
        Column("sent_at", DateTime(timezone=True)),
        Column("dead_at", DateTime(timezone=True)),
        Column("dead_reason", Text),
        schema=schema,
    )
    turns_of_groups = (table.c.group_id, table.c.priority.desc(), table.c.id)
    Index("outbox_turns", *turns_of_groups, postgresql_where=waiting(table))
    Index("outbox_dead", table.c.dead_at, postgresql_where=table.c.dead_at.is_not(None))
    return table


def waiting(table: Table) -> ColumnElement[bool]:
    """Rows that are still to be worked on or relayed."""
    return and_(table.c.sent_at.is_(None), table.c.dead_at.is_(None))


def due(table: Table) -> ColumnElement[bool]:
    """Rows that wait, are not put off, and are not in the hands of a receiver."""
    row = table.c
    free = or_(row.claimed_until.is_(None), row.claimed_until <= func.now())
    return and_(waiting(table), row.available_at <= func.now(), free)


def channel_of(table: Table) -> str:
    """The notification channel on which an outbox announces new rows."""
    return f"{table.schema}_{table.name}"


async def enqueue(
    connection: AsyncConnection, table: Table, message: Message, *, priority: int = 0, delay_s: float = 0.0
) -> None:
    """
    Writes a message in the caller's transaction, delivered after `delay_s`; receivers wake up at the commit.

    Ten more `priority` double its group's share and go first within the group; so does waiting, within
    bounds (see `order.turns`).
    """
    row = {
        "body": message.body,
        "attributes": dict(message.attributes),
        "group_id": message.group_id,
        "priority": priority,
    }
    statement = insert(table)
    if delay_s > 0:
        statement = statement.values(available_at=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, delay_s))
    await connection.execute(statement, row)
    await notify(connection, channel_of(table))


_NOTIFY = text("SELECT pg_notify(:channel, '')")


async def notify(connection: AsyncConnection, channel: str) -> None:
    """Wakes the listeners of the channel, once the transaction commits."""
    await connection.execute(_NOTIFY, {"channel": channel})


class _Received:
    """
    Statements on a row that a receiver holds under its receipt, as long as it has not been received again since. Built
    once, for building a statement costs more than executing it (ADR 030).
    """

    def __init__(self, table: Table) -> None:
        received = and_(table.c.id == bindparam("message"), table.c.handle == bindparam("receipt"))
        held = and_(received, table.c.claimed_until > func.now())
        then = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, bindparam("seconds", type_=Double))
        given_up: dict[str, Any] = {"claimed_until": None, "handle": None}
        self.extend = update(table).where(held).values(claimed_until=then)
        self.release = update(table).where(received).values(available_at=then, **given_up)
        self.delete = delete(table).where(received)
        self.bury = (
            update(table).where(received).values(dead_at=func.now(), dead_reason=bindparam("reason"), **given_up)
        )


class OutboxQueue:
    """
    The queue port (see `base.Queue`) on an outbox table.

    Groups take turns by what they have in work, weighted by priority (see `order.turns`), so that one user's hundred
    jobs do not hold up another's one. The group counts are read before rows are locked: concurrent claims may be off
    by a few, never wrong about a row's owner. A message that was received `max_receives` times and comes back again is
    a dead letter (reason `received_too_often`), as SQS's redrive policy has it.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        table: Table,
        visibility_s: int,
        channel: str | None = None,
        *,
        listener: Listener | None = None,
        max_receives: int = MAX_RECEIVES,
        age_s: float = AGE_S,
        most_per_group: int = 0,
    ) -> None:
        """
        `listener`: the process's own, if it has one; else the queue opens a connection to listen on. `age_s`: see
        `order.aged`. `most_per_group`: messages of one group received and not yet given back; 0: any number.
        """
        self._engine = engine
        self._table = table
        self._visibility_s = visibility_s
        self._channel = channel or channel_of(table)
        self._listener = listener or Listener(asyncpg_dsn(engine.url))
        self._owns_listener = listener is None
        self._max_receives = max_receives
        self._claim = _claim_statement(table, age_s, most_per_group)
        self._received = _Received(table)

    async def receive(self, *, max_messages: int = 1, wait_s: float = 20.0) -> Sequence[Delivery]:
        deadline = time.monotonic() + wait_s
        with self._listener.subscribe(self._channel) as subscription:
            while True:
                found = await self._claim_for_me(max_messages)
                left = deadline - time.monotonic()
                if found or left <= 0:
                    return found
                await subscription.get(min(left, _POLL_S))

    async def extend(self, delivery: Delivery, seconds: int) -> None:
        if not await self._execute(self._received.extend, delivery, {"seconds": seconds}):
            raise Conflict("The message is no longer held under this receipt.", reason="stale_receipt")

    async def release(self, delivery: Delivery, *, delay_s: int = 0) -> None:
        await self._execute(self._received.release, delivery, {"seconds": delay_s}, wake=delay_s == 0)

    async def delete(self, delivery: Delivery) -> None:
        await self._execute(self._received.delete, delivery)

    async def dead_letter(self, delivery: Delivery, reason: str) -> None:
        await self._execute(self._received.bury, delivery, {"reason": reason})

    async def depth(self) -> QueueDepth:
        row = self._table.c
        in_flight = row.claimed_until > func.now()
        visible = due(self._table)
        age = func.extract("epoch", func.now() - func.min(row.created_at).filter(visible))
        counts = select(func.count().filter(visible), func.count().filter(in_flight), age)
        async with transaction(self._engine) as connection:
            row_counts: Any = (await connection.execute(counts.where(waiting(self._table)))).one()
        seen, held, oldest = row_counts
        return QueueDepth(visible=seen, in_flight=held, oldest_age_s=None if oldest is None else float(oldest))

    async def close(self) -> None:
        if self._owns_listener:
            await self._listener.close()

    async def _claim_for_me(self, max_messages: int) -> Sequence[Delivery]:
        # A claim that is broken off may have been committed; its messages would stay hidden until they time out.
        claim = asyncio.create_task(self._claim_now(max_messages))
        try:
            return await asyncio.shield(claim)
        except asyncio.CancelledError:
            with contextlib.suppress(OneVoiceError):  # it then comes back when its visibility ends
                for delivery in await claim:
                    await self.release(delivery)
            raise

    async def _claim_now(self, max_messages: int) -> Sequence[Delivery]:
        hidden = timedelta(seconds=self._visibility_s)
        values = {"most": max_messages, "hidden": hidden, "max_receives": self._max_receives}
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(self._claim, values)).all()
        return [
            Delivery(str(row.id), row.body, row.attributes, row.receive_count, str(row.handle), row.group_id)
            for row in sorted(rows, key=lambda row: (row.turn, row.id))
        ]

    async def _execute(
        self, statement: Any, delivery: Delivery, parameters: Mapping[str, Any] | None = None, *, wake: bool = False
    ) -> int:
        """Runs a statement on the row of a delivery; returns how many rows it changed."""
        row = {"message": int(delivery.id), "receipt": UUID(delivery.handle)}
        async with transaction(self._engine) as connection:
            hit: int = (await connection.execute(statement, {**row, **(parameters or {})})).rowcount
            if wake and hit:
                await notify(connection, self._channel)
        return hit


def _claim_statement(table: Table, age_s: float, most_per_group: int) -> Any:
    """Claims up to `:most` rows that no other claim holds, each under a new handle, and buries what came too often."""
    row = table.c
    free = due(table)
    limit = bindparam("max_receives", type_=BigInteger)
    fresh = and_(free, row.receive_count < limit)
    busy = (
        select(row.group_id, func.count().label("held"))
        .where(waiting(table), row.claimed_until > func.now())
        .group_by(row.group_id)
        .cte("busy")
    )
    queued = turns(table, fresh, busy, age_s, most_per_group)
    chosen = (
        select(row.id, queued.c.turn)
        .join(queued, queued.c.id == row.id)
        .where(fresh)
        .order_by(queued.c.turn, row.id)
        .limit(bindparam("most", type_=BigInteger))
        .with_for_update(of=table, skip_locked=True)
        .cte("chosen")
    )
    claimed = {
        "claimed_until": func.now() + bindparam("hidden", type_=Interval),
        "handle": func.gen_random_uuid(),
        "receive_count": row.receive_count + 1,
    }
    return (
        update(table)
        .values(claimed)
        .where(row.id == chosen.c.id)
        .returning(row.id, row.body, row.attributes, row.receive_count, row.handle, row.group_id, chosen.c.turn)
        .add_cte(_bury(table, and_(free, row.receive_count >= limit)))
    )


def _bury(table: Table, spent: ColumnElement[bool]) -> CTE:
    found = select(table.c.id).where(spent).limit(_BURIED_AT_ONCE).with_for_update(skip_locked=True)
    values = {"dead_at": func.now(), "dead_reason": RECEIVED_TOO_OFTEN, "claimed_until": None, "handle": None}
    return update(table).values(values).where(table.c.id.in_(found)).cte("buried")
