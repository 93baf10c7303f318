"""The relay moves every row at least once, whatever happens to the queue or to itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sqlalchemy import func, select, text, update

from onevoice_kit import db
from onevoice_kit.errors import Unavailable
from onevoice_kit.queue.base import Message
from onevoice_kit.queue.outbox import enqueue
from onevoice_kit.queue.relay import OutboxRelay
from onevoice_kit.queue.sqs import SqsQueue
from onevoice_kit.testing.waiting import eventually


class _Sender:
    """Notes what is sent; refuses some, or all for a while."""

    def __init__(self, *, refused: Sequence[str] = (), down_for: int = 0) -> None:
        self.bodies: list[str] = []
        self.refused = list(refused)
        self.down_for = down_for

    async def send(self, messages: Sequence[Message]) -> Sequence[bool]:
        if self.down_for:
            self.down_for -= 1
            raise Unavailable
        self.bodies += [message.body for message in messages if message.body not in self.refused]
        return [message.body not in self.refused for message in messages]


async def _enqueue(outbox, *bodies: str) -> None:
    async with db.transaction(outbox.engine) as connection:
        for body in bodies:
            await enqueue(connection, outbox.table, Message(body, {"kind": "test"}, "user-1"))


async def _unsent(outbox) -> int:
    query = select(func.count()).where(outbox.table.c.sent_at.is_(None))
    async with db.transaction(outbox.engine) as connection:
        return (await connection.execute(query)).scalar_one()


async def test_rows_are_sent_in_order_and_marked(outbox):
    sender = _Sender()
    await _enqueue(outbox, *(str(n) for n in range(13)))
    relay = OutboxRelay(outbox.engine, outbox.table, sender)
    assert [await relay.relay_batch() for _ in range(3)] == [10, 3, 0]
    assert sender.bodies == [str(n) for n in range(13)]
    assert await relay.lag_s() == 0


async def test_what_is_relayed_is_no_longer_in_the_outbox_queue(outbox):
    await _enqueue(outbox, "one")
    await OutboxRelay(outbox.engine, outbox.table, _Sender()).relay_batch()
    assert await outbox.queue.receive(wait_s=0) == []


async def test_a_refused_row_is_put_off_and_holds_up_no_other(outbox):
    sender = _Sender(refused=["bad"])
    await _enqueue(outbox, "bad", "good")
    relay = OutboxRelay(outbox.engine, outbox.table, sender)
    await relay.relay_batch()
    await _enqueue(outbox, "later")
    await relay.relay_batch()
    assert sender.bodies == ["good", "later"]
    sender.refused.clear()
    async with db.transaction(outbox.engine) as connection:
        await connection.execute(update(outbox.table).values(available_at=func.now()))
    await relay.relay_batch()
    assert sender.bodies[-1] == "bad"


async def test_a_queue_that_is_down_gets_everything_once_it_is_back(outbox):
    sender = _Sender(down_for=3)
    await _enqueue(outbox, "one", "two")
    relay = OutboxRelay(outbox.engine, outbox.table, sender, min_pause_s=0.01, max_pause_s=0.02)
    running = asyncio.create_task(relay.run())

    async def all_sent() -> bool:
        return await _unsent(outbox) == 0

    await eventually(all_sent)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert sender.down_for == 0
    assert sender.bodies == ["one", "two"]


async def test_a_running_relay_is_woken_by_the_commit(outbox):
    sender = _Sender()
    # Polling would take far longer than this test may.
    running = asyncio.create_task(OutboxRelay(outbox.engine, outbox.table, sender, poll_s=250).run())
    await outbox.listening()
    await _enqueue(outbox, "hello")
    await eventually(lambda: sender.bodies == ["hello"])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_many_relays_send_each_row_once(outbox):
    sender = _Sender()
    await _enqueue(outbox, *(str(n) for n in range(60)))
    relays = [OutboxRelay(outbox.engine, outbox.table, sender) for _ in range(4)]
    while await _unsent(outbox):
        await asyncio.gather(*(relay.relay_batch() for relay in relays))
    assert sorted(sender.bodies, key=int) == [str(n) for n in range(60)]


async def test_a_relay_that_dies_between_sending_and_marking_sends_again(outbox):
    class Dies(_Sender):
        async def send(self, messages: Sequence[Message]) -> Sequence[bool]:
            await super().send(messages)
            raise asyncio.CancelledError

    dying, sender = Dies(), _Sender()
    await _enqueue(outbox, "once")
    await asyncio.gather(OutboxRelay(outbox.engine, outbox.table, dying).relay_batch(), return_exceptions=True)
    await OutboxRelay(outbox.engine, outbox.table, sender).relay_batch()
    assert (dying.bodies, sender.bodies) == (["once"], ["once"])


async def test_rows_sent_long_ago_are_cleaned_away(outbox):
    sender = _Sender()
    await _enqueue(outbox, "old")
    relay = OutboxRelay(outbox.engine, outbox.table, sender)
    await relay.relay_batch()
    async with db.transaction(outbox.engine) as connection:
        await connection.execute(update(outbox.table).values(sent_at=text("now() - interval '8 days'")))
    running = asyncio.create_task(relay.run())

    async def is_empty() -> bool:
        async with db.transaction(outbox.engine) as connection:
            return (await connection.execute(select(func.count()).select_from(outbox.table))).scalar_one() == 0

    await eventually(is_empty)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert sender.bodies == ["old"]


async def test_messages_go_through_the_relay_to_sqs_and_on_to_a_worker(outbox, aws):
    queue = SqsQueue(aws.queue_settings())
    await _enqueue(outbox, *(str(n) for n in range(12)))
    relay = OutboxRelay(outbox.engine, outbox.table, queue)
    while await relay.relay_batch():
        pass  # until the outbox is empty
    received: list[str] = []
    while len(received) < 12:
        deliveries = await queue.receive(max_messages=10, wait_s=1)
        assert {delivery.attributes["kind"] for delivery in deliveries} <= {"test"}
        received += [delivery.body for delivery in deliveries]
    await queue.close()
    assert sorted(received, key=int) == [str(n) for n in range(12)]
