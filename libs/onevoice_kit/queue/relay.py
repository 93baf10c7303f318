"""Moves outbox rows to a queue: at least once, in fair turns, by any number of relays at once."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import CTE, BigInteger, Select, Table, bindparam, delete, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from onevoice_kit.db.engine import asyncpg_dsn, transaction
from onevoice_kit.db.listener import Listener
from onevoice_kit.errors import OneVoiceError, Unavailable
from onevoice_kit.queue.base import Message, QueueDepth, Sender
from onevoice_kit.queue.order import AGE_S, turns
from onevoice_kit.queue.outbox import channel_of, due, waiting
from onevoice_kit.retry import Backoff
from onevoice_kit.telemetry.metrics import OUTBOX_RELAYED, counter

_log = logging.getLogger(__name__)
BATCH = 10
"""The batch of one send."""
_SEND_TIMEOUT_S = 20.0
"""The rows stay locked while they are sent, so this must be well below the limit for idle transactions."""
_REJECTED_DELAY_S = 300
"""Longest pause before a row that the queue rejects by itself is sent again."""
_KEEP_SENT_S = 7 * 86_400
_CLEAN_EVERY_S = 3_600.0


class OutboxRelay:
    """
    Sends waiting rows in their turn (see `order.turns`) and marks them as sent in the transaction that locks them.

    A queue without priorities hands messages out in its own order. So with `depth` it is filled up to about `backlog`
    waiting messages only: the order is decided here, as late as possible. A crash between sending and marking sends a
    row twice; receivers must bear that. Rows that another relay has locked are skipped, so with several relays
    the order holds within a batch only. A row that the queue rejects alone is put off and does not hold up the others.
    Sent rows are kept for a week.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        table: Table,
        sender: Sender,
        *,
        listener: Listener | None = None,
        depth: Callable[[], Awaitable[QueueDepth]] | None = None,
        backlog: int = 40,
        outstanding: Select[str, int] | None = None,
        age_s: float = AGE_S,
        most_per_group: int = 0,
        poll_s: float = 5.0,
        full_poll_s: float = 0.5,
        min_pause_s: float = 0.5,
        max_pause_s: float = 30.0,
    ) -> None:
        """
        `outstanding` selects `group_id` and `held`, how much a group has waiting here or in work; without it a group's
        turns do not depend on what was relayed before. `age_s`: see `order.aged`. `most_per_group`: how much of one
        group may be outstanding beyond this table, 0: any number. `poll_s`: pause between two looks without a
        notification; `full_poll_s`: the same while the queue is full. The other pauses bound the backoff when something
        is down.
        """
        self._engine = engine
        self._table = table
        self._sender = sender
        self._listener = listener or Listener(asyncpg_dsn(engine.url))
        self._owns_listener = listener is None
        self._depth = depth
        self._backlog = backlog
        self._next = _next_statement(table, outstanding, age_s, most_per_group)
        self._poll_s = poll_s
        self._full_poll_s = full_poll_s
        self._backoff = Backoff(2 * min_pause_s, max_pause_s, min_pause_s)
        self._rng = random.Random()
        self._cleaned_at = 0.0

    async def run(self) -> None:
        """Relays until cancelled."""
        failures = 0
        try:
            with self._listener.subscribe(channel_of(self._table)) as subscription:
                while True:
                    try:
                        await self._housekeeping()
                        room = await self._room()
                        moved = await self._relay(room)
                        failures = 0
                    except OneVoiceError as error:
                        failures += 1
                        _log.warning("outbox is not relayed", extra={"error": str(error), "failures": failures})
                        await asyncio.sleep(self._backoff.delay_s(failures, self._rng))
                        continue
                    if moved < BATCH and moved < room:
                        await subscription.get(self._poll_s)
                    elif moved < BATCH:
                        await asyncio.sleep(self._full_poll_s)
        finally:
            if self._owns_listener:
                await self._listener.close()

    async def relay_batch(self) -> int:
        """Moves one batch; returns how many rows it looked at. Raises `Unavailable` when the queue does not answer."""
        return await self._relay(await self._room())

    async def _room(self) -> int:
        """Number of messages that the queue may get now."""
        if self._depth is None:
            return BATCH
        return max(0, min(BATCH, self._backlog - (await self._depth()).visible))

    async def _relay(self, room: int) -> int:
        if not room:
            return 0
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(self._next, {"most": room})).all()
            if rows:
                accepted = await self._send(rows)
                sent = [row.id for row, taken in zip(rows, accepted, strict=True) if taken]
                refused = [row.id for row, taken in zip(rows, accepted, strict=True) if not taken]
                await self._mark(connection, sent, refused)
        if rows:
            counter(OUTBOX_RELAYED).labels("sent").inc(len(sent))
            counter(OUTBOX_RELAYED).labels("refused").inc(len(refused))
        return len(rows)

    async def _send(self, rows: Sequence[Any]) -> Sequence[bool]:
        messages = [Message(row.body, row.attributes, row.group_id) for row in rows]
        try:
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                return await self._sender.send(messages)
        except TimeoutError as error:
            raise Unavailable("The queue does not answer.", reason="queue_unavailable") from error

    async def _mark(self, connection: AsyncConnection, sent: Sequence[int], refused: Sequence[int]) -> None:
        column = self._table.c
        if sent:
            await connection.execute(update(self._table).where(column.id.in_(sent)).values(sent_at=func.now()))
        if refused:
            _log.error("the queue refuses messages", extra={"rows": list(refused)})
            # 1, 2, 4 … seconds; the exponent is bounded, for the power itself must not overflow
            delay = func.least(func.power(2, func.least(column.receive_count, 16)), _REJECTED_DELAY_S)
            later = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, delay)
            values = {"receive_count": column.receive_count + 1, "available_at": later}
            await connection.execute(update(self._table).where(column.id.in_(refused)).values(values))

    async def _housekeeping(self) -> None:
        if time.monotonic() - self._cleaned_at > _CLEAN_EVERY_S or not self._cleaned_at:
            oldest = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, _KEEP_SENT_S)
            async with transaction(self._engine) as connection:
                await connection.execute(delete(self._table).where(self._table.c.sent_at < oldest))
            self._cleaned_at = time.monotonic()


async def outbox_lag_s(engine: AsyncEngine, table: Table) -> float:
    """
    Seconds since the first of the rows that are due became so; 0 where none is. Measured apart from any relay.

    A row that is put off, as the message of a parked job, does not count before its time; one that a receiver has held
    counts from the end of its visibility.
    """
    row = table.c
    since = func.min(func.greatest(row.available_at, row.claimed_until))
    age = func.extract("epoch", func.now() - since)
    async with transaction(engine) as connection:
        return float((await connection.execute(select(age).where(due(table)))).scalar() or 0.0)


def _next_statement(
    table: Table, outstanding: Select[str, int] | None, age_s: float, most_per_group: int
) -> Select[Any]:
    """Locks the rows whose turn it is, at most `:most`."""
    row = table.c
    ready = due(table)
    queued = turns(table, ready, _relayed(table, outstanding), age_s, most_per_group)
    return (
        select(row.id, row.body, row.attributes, row.group_id)
        .join(queued, queued.c.id == row.id)
        .where(ready)
        .order_by(queued.c.turn, row.id)
        .limit(bindparam("most", type_=BigInteger))
        .with_for_update(of=table, skip_locked=True)
    )


def _relayed(table: Table, outstanding: Select[str, int] | None) -> CTE:
    """Messages of each group beyond this table: relayed, and not yet done."""
    row = table.c
    here = select(row.group_id, func.count().label("held")).where(waiting(table)).group_by(row.group_id).cte("here")
    if outstanding is None:
        return select(here.c.group_id, literal(0).label("held")).cte("relayed")
    known = outstanding.cte("outstanding")
    beyond = func.greatest(0, known.c.held - func.coalesce(here.c.held, 0)).label("held")
    return select(known.c.group_id, beyond).outerjoin(here, here.c.group_id == known.c.group_id).cte("relayed")
