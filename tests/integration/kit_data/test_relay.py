"""The relay moves every row at least once, whatever happens to the queue or to itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update

from onevoice_kit import db
from onevoice_kit.errors import Unavailable
from onevoice_kit.queue.base import Message, QueueDepth
from onevoice_kit.queue.outbox import enqueue
from onevoice_kit.queue.relay import OutboxRelay, outbox_lag_s
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


async def _enqueue(outbox, *bodies: str, user: str = "user-1", priority: int = 0) -> None:
    async with db.transaction(outbox.engine) as connection:
        for body in bodies:
            await enqueue(connection, outbox.table, Message(body, {"kind": "test"}, user), priority=priority)


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
    assert await outbox_lag_s(outbox.engine, outbox.table) == 0


async def _put(outbox, *, available_s: int, claimed_s: int | None = None) -> None:
    """A row from long ago that is available and no longer held at these times, in seconds from now."""
    at = [func.now() + timedelta(seconds=s) for s in (-9000, available_s)]
    until = None if claimed_s is None else func.now() + timedelta(seconds=claimed_s)
    values = {"body": "x", "created_at": at[0], "available_at": at[1], "claimed_until": until}
    async with db.transaction(outbox.engine) as connection:
        await connection.execute(outbox.table.insert().values(values))


async def test_the_lag_counts_from_the_time_at_which_a_row_is_due(outbox):
    await _put(outbox, available_s=600)  # as a parked job's message
    await _put(outbox, available_s=-8000, claimed_s=600)  # in work
    assert await outbox_lag_s(outbox.engine, outbox.table) == 0
    await _put(outbox, available_s=-100)
    assert 100 <= await outbox_lag_s(outbox.engine, outbox.table) < 3000
    await _put(outbox, available_s=-8000, claimed_s=-4000)  # its receiver is gone
    assert 4000 <= await outbox_lag_s(outbox.engine, outbox.table) < 8000


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


@pytest.fixture
async def fed(outbox, aws) -> AsyncIterator[tuple[OutboxRelay, SqsQueue]]:
    """A relay that keeps about five messages waiting in SQS, and counts what each user has outstanding."""
    queue = SqsQueue(aws.queue_settings())
    rows = select(outbox.table.c.group_id, func.count().label("held")).group_by(outbox.table.c.group_id)
    yield OutboxRelay(outbox.engine, outbox.table, queue, depth=queue.depth, backlog=5, outstanding=rows), queue
    await queue.close()


async def _drain(queue: SqsQueue) -> list[str]:
    bodies: list[str] = []
    while deliveries := await queue.receive(max_messages=10, wait_s=0):
        bodies += [delivery.body for delivery in deliveries]
        await asyncio.gather(*(queue.delete(delivery) for delivery in deliveries))
    return bodies


async def test_the_backlog_in_sqs_stays_short_and_the_rest_waits_its_turn(outbox, fed):
    relay, queue = fed
    await _enqueue(outbox, *(str(n) for n in range(30)))
    while await relay.relay_batch():
        pass  # until SQS is full
    assert (await queue.depth()).visible == 5
    assert await _unsent(outbox) == 25


async def test_a_user_with_500_jobs_does_not_starve_one_with_a_single_job_on_sqs(outbox, fed):
    relay, queue = fed
    await _enqueue(outbox, *(f"a{n}" for n in range(500)), user="a")
    await relay.relay_batch()
    await _enqueue(outbox, "b0", user="b")
    seen = await _drain(queue)
    await relay.relay_batch()
    seen += await _drain(queue)
    assert "b0" in seen
    assert len(seen) == 10


async def test_freed_one_by_one_each_place_goes_to_the_user_with_least(outbox):
    sender, waiting = _Sender(), [QueueDepth(4, 0, None)]

    async def depth() -> QueueDepth:
        return waiting[0]

    rows = select(outbox.table.c.group_id, func.count().label("held")).group_by(outbox.table.c.group_id)
    relay = OutboxRelay(outbox.engine, outbox.table, sender, depth=depth, backlog=5, outstanding=rows)
    await _enqueue(outbox, "a0", "a1", "a2", user="a", priority=10)
    await _enqueue(outbox, "b0", "b1", user="b")
    for _ in range(5):
        assert await relay.relay_batch() == 1
    assert sender.bodies == ["a0", "a1", "b0", "a2", "b1"]
    waiting[0] = QueueDepth(5, 0, None)
    await _enqueue(outbox, "c0", user="c", priority=10)
    assert await relay.relay_batch() == 0


async def test_high_overtakes_low_on_the_way_to_sqs(outbox, fed):
    relay, queue = fed
    await _enqueue(outbox, *(f"low{n}" for n in range(20)), user="a", priority=-10)
    await relay.relay_batch()
    await _enqueue(outbox, "high", user="b", priority=10)
    await _drain(queue)
    await relay.relay_batch()
    assert "high" in await _drain(queue)


async def test_a_relay_that_found_sqs_full_goes_on_when_there_is_room(outbox, aws):
    queue = SqsQueue(aws.queue_settings())
    await _enqueue(outbox, *(str(n) for n in range(12)))
    relay = OutboxRelay(outbox.engine, outbox.table, queue, depth=queue.depth, backlog=5, full_poll_s=0.02)
    running = asyncio.create_task(relay.run())
    bodies: list[str] = []
    while len(bodies) < 12:
        deliveries = await queue.receive(max_messages=10, wait_s=5)
        bodies += [delivery.body for delivery in deliveries]
        await asyncio.gather(*(queue.delete(delivery) for delivery in deliveries))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await queue.close()
    assert sorted(bodies, key=int) == [str(n) for n in range(12)]
