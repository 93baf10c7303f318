"""One group's messages in work are bounded, by the outbox's own queue and on the way to SQS."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest
from sqlalchemy import func, select

from onevoice_kit import db
from onevoice_kit.queue.base import Delivery, Message, Queue
from onevoice_kit.queue.outbox import OutboxQueue, enqueue, waiting
from onevoice_kit.queue.relay import OutboxRelay
from onevoice_kit.testing.memory_queue import MemoryQueue

MOST = 2


class _Sender:
    def __init__(self) -> None:
        self.bodies: list[str] = []

    async def send(self, messages: Sequence[Message]) -> Sequence[bool]:
        self.bodies += [message.body for message in messages]
        return [True] * len(messages)


@pytest.fixture
async def bounded(outbox) -> AsyncIterator[OutboxQueue]:
    queue = OutboxQueue(outbox.engine, outbox.table, 30, most_per_group=MOST)
    yield queue
    await queue.close()


async def _enqueue(outbox, *bodies: str, user: str, priority: int = 0) -> None:
    async with db.transaction(outbox.engine) as connection:
        for body in bodies:
            await enqueue(connection, outbox.table, Message(body, group_id=user), priority=priority)


async def _received(queue: Queue, most: int = 10) -> list[str]:
    return [delivery.body for delivery in await queue.receive(max_messages=most, wait_s=0)]


async def test_one_user_cannot_fill_all_slots(outbox, bounded):
    await _enqueue(outbox, *(f"a{n}" for n in range(300)), user="a", priority=10)
    await _enqueue(outbox, "b0", user="b", priority=-10)
    assert await _received(bounded) == ["a0", "a1", "b0"]
    assert await _received(bounded) == []


async def test_a_place_that_becomes_free_goes_to_the_users_next_message(outbox, bounded):
    await _enqueue(outbox, *(f"a{n}" for n in range(4)), user="a")
    first, second = await bounded.receive(max_messages=10, wait_s=0)
    await bounded.delete(first)
    assert await _received(bounded) == ["a2"]
    await bounded.release(second, delay_s=600)
    assert await _received(bounded) == ["a3"]


async def test_messages_without_a_group_are_not_bounded(outbox, bounded):
    await _enqueue(outbox, *(str(n) for n in range(5)), user="")
    assert len(await _received(bounded)) == 5


async def test_the_bound_holds_for_receivers_at_the_same_time(outbox):
    queues = [OutboxQueue(outbox.engine, outbox.table, 30, most_per_group=MOST) for _ in range(4)]
    for user in "abc":
        await _enqueue(outbox, *(f"{user}{n}" for n in range(20)), user=user)
    for _ in range(5):
        batches = await asyncio.gather(*(queue.receive(max_messages=3, wait_s=0) for queue in queues for _ in range(3)))
        received = [delivery for batch in batches for delivery in batch]
        assert max(Counter(delivery.group_id for delivery in received).values()) <= MOST
        await asyncio.gather(*(queues[0].delete(delivery) for delivery in received))
    await asyncio.gather(*(queue.close() for queue in queues))


async def test_the_relay_sends_no_more_of_a_user_than_may_be_in_work(outbox):
    sender, row = _Sender(), outbox.table.c
    open_jobs = select(row.group_id, func.count().label("held")).where(row.dead_at.is_(None)).group_by(row.group_id)
    relay = OutboxRelay(outbox.engine, outbox.table, sender, outstanding=open_jobs, most_per_group=MOST)
    await _enqueue(outbox, *(f"a{n}" for n in range(5)), user="a")
    await _enqueue(outbox, "b0", user="b")
    await asyncio.gather(*(relay.relay_batch() for _ in range(3)))
    assert sorted(sender.bodies) == ["a0", "a1", "b0"]
    async with db.transaction(outbox.engine) as connection:  # one of the user's jobs has ended
        await connection.execute(outbox.table.delete().where(row.body == "a0"))
    await relay.relay_batch()
    assert sender.bodies[3:] == ["a2"]


@pytest.mark.parametrize("most", [0, 1, 3])
@pytest.mark.parametrize("seed", range(5))
async def test_the_queue_in_memory_gives_the_order_of_the_table(outbox, seed: int, most: int):
    rng = random.Random(seed)
    table = OutboxQueue(outbox.engine, outbox.table, 3600, most_per_group=most)
    memory = MemoryQueue(3600, most_per_group=most)
    for number in range(40):
        user, priority = rng.choice(["a", "b", "c", ""]), rng.choice([-10, 0, 5, 10])
        await _enqueue(outbox, str(number), user=user, priority=priority)
        memory.send(Message(str(number), group_id=user), priority)
    queues: tuple[Queue, ...] = (table, memory)
    for queue in queues:
        assert len(await queue.receive(max_messages=4, wait_s=0)) in range(3, 5)
    left = True
    while left:
        batch = rng.randrange(1, 5)
        pairs: list[Sequence[Delivery]] = [await queue.receive(max_messages=batch, wait_s=0) for queue in queues]
        bodies, expected = ([delivery.body for delivery in pair] for pair in pairs)
        assert bodies == expected
        for n in range(len(bodies)):
            for queue, pair in zip(queues, pairs, strict=True):
                await (queue.delete(pair[n]) if n else queue.release(pair[n], delay_s=3600))
        left = bool(bodies)
    async with db.transaction(outbox.engine) as connection:
        rest = await connection.execute(select(func.count()).where(waiting(outbox.table)))
    assert rest.scalar_one() == len(memory)
    await table.close()
