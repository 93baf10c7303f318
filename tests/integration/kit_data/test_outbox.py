"""The outbox beyond the contract: it is transactional, and shares its workers fairly."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, select, update

from onevoice_kit import db
from onevoice_kit.queue.base import Message
from onevoice_kit.queue.outbox import OutboxQueue, enqueue
from tests.support.blocked import done_or_blocked


async def _enqueue(outbox, *messages: Message, priority: int = 0) -> None:
    async with db.transaction(outbox.engine) as connection:
        for message in messages:
            await enqueue(connection, outbox.table, message, priority=priority)


async def test_a_message_of_a_failed_transaction_is_never_seen(outbox):
    async def submit_and_fail() -> None:
        async with db.transaction(outbox.engine) as connection:
            await enqueue(connection, outbox.table, Message("phantom"))
            raise ValueError("decided otherwise")

    with pytest.raises(ValueError, match="decided otherwise"):
        await submit_and_fail()
    assert await outbox.queue.receive(wait_s=0) == []


async def test_higher_priority_goes_first_then_the_older(outbox):
    await _enqueue(outbox, Message("old"), Message("young"))
    await _enqueue(outbox, Message("urgent"), priority=5)
    received = [(await outbox.queue.receive(wait_s=0))[0].body for _ in range(3)]
    assert received == ["urgent", "old", "young"]


async def test_one_users_many_jobs_do_not_hold_up_anothers_one(outbox):
    await _enqueue(outbox, *(Message(f"a{n}", group_id="a") for n in range(10)), Message("b0", group_id="b"))
    received = [(await outbox.queue.receive(wait_s=0))[0].body for _ in range(3)]
    assert received == ["a0", "b0", "a1"]


async def test_a_user_with_500_jobs_does_not_starve_one_with_a_single_job(outbox):
    await _enqueue(outbox, *(Message(f"a{n}", group_id="a") for n in range(500)))
    working = await outbox.queue.receive(max_messages=8, wait_s=0)
    await _enqueue(outbox, Message("b0", group_id="b"))
    await outbox.queue.delete(working[0])
    (freed,) = await outbox.queue.receive(wait_s=0)
    assert freed.body == "b0"


async def test_also_one_receive_of_many_is_shared_between_users(outbox):
    for user in "abc":
        await _enqueue(outbox, *(Message(f"{user}{n}", group_id=user) for n in range(20)))
    received = [delivery.body for delivery in await outbox.queue.receive(max_messages=6, wait_s=0)]
    assert received == ["a0", "b0", "c0", "a1", "b1", "c1"]


async def test_high_overtakes_normal_and_low_of_every_sender(outbox):
    await _enqueue(outbox, Message("low", group_id="a"), priority=-10)
    await _enqueue(outbox, Message("normal", group_id="b"))
    await _enqueue(outbox, Message("high", group_id="c"), priority=10)
    received = [delivery.body for delivery in await outbox.queue.receive(max_messages=3, wait_s=0)]
    assert received == ["high", "normal", "low"]


async def test_high_priority_buys_a_larger_share_not_all_of_it(outbox):
    await _enqueue(outbox, *(Message(f"a{n}", group_id="a") for n in range(20)), priority=10)
    await _enqueue(outbox, *(Message(f"b{n}", group_id="b") for n in range(20)))
    received = [delivery.body for delivery in await outbox.queue.receive(max_messages=6, wait_s=0)]
    assert received == ["a0", "a1", "b0", "a2", "a3", "b1"]


async def test_priorities_of_any_size_are_borne(outbox):
    for priority in (-32_768, 32_767):
        await _enqueue(outbox, Message(str(priority)), priority=priority)
    assert len(await outbox.queue.receive(max_messages=2, wait_s=0)) == 2


async def test_a_waiting_receiver_is_woken_by_the_commit(outbox):
    # Polling would take far longer than this test may.
    waiting = asyncio.create_task(outbox.queue.receive(wait_s=250))
    await outbox.listening()
    await _enqueue(outbox, Message("hello"))
    assert [delivery.body for delivery in await waiting] == ["hello"]


async def test_a_message_is_received_once_by_many_processes(outbox):
    queues = [OutboxQueue(outbox.engine, outbox.table, 30) for _ in range(4)]
    await _enqueue(outbox, *(Message(str(n)) for n in range(40)))
    batches = await asyncio.gather(*(queue.receive(max_messages=3, wait_s=0) for queue in queues for _ in range(5)))
    bodies = [delivery.body for batch in batches for delivery in batch]
    await asyncio.gather(*(queue.close() for queue in queues))
    assert len(bodies) == len(set(bodies))
    left = await outbox.queue.depth()
    assert left.visible + len(bodies) == 40


async def test_a_message_that_another_is_claiming_blocks_no_other(outbox):
    await _enqueue(outbox, Message("first"), Message("second"))
    async with outbox.engine.connect() as claiming:
        await claiming.execute(select(outbox.table.c.id).where(outbox.table.c.body == "first").with_for_update())
        receiving = asyncio.create_task(outbox.queue.receive(max_messages=2, wait_s=0))
        await done_or_blocked(outbox.engine, receiving)
        waited = not receiving.done()
        await claiming.rollback()
    assert [delivery.body for delivery in await receiving] == ["second"]
    assert not waited


async def test_a_receipt_that_ran_out_ends_nothing_of_the_next_receivers(outbox):
    await _enqueue(outbox, Message("hello"))
    (old,) = await outbox.queue.receive(wait_s=0)
    async with db.transaction(outbox.engine) as connection:
        await connection.execute(update(outbox.table).values(claimed_until=func.now()))
    (new,) = await outbox.queue.receive(wait_s=0)
    await outbox.queue.release(old)
    await outbox.queue.delete(old)
    await outbox.queue.dead_letter(old, "late")
    await outbox.queue.extend(new, 30)
    assert (await outbox.queue.depth()).in_flight == 1


async def test_depth_has_the_age_of_the_oldest_message(outbox):
    assert (await outbox.queue.depth()).oldest_age_s is None
    await _enqueue(outbox, Message("waits"))
    age = (await outbox.queue.depth()).oldest_age_s
    assert age is not None
    assert 0 <= age < 60
