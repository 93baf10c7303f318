"""The contract of queues."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from onevoice_kit.errors import Conflict
from onevoice_kit.queue.base import Message

HELLO = Message('{"n": 1}', {"messageType": "HELLO", "attempt": "1"}, "user-1")


async def test_a_message_arrives_with_body_and_attributes(under_test):
    await under_test.send(HELLO)
    (delivery,) = await under_test.queue.receive(wait_s=5)
    assert delivery.body == HELLO.body
    assert dict(delivery.attributes) == dict(HELLO.attributes)
    assert delivery.receive_count == 1


async def test_an_empty_queue_answers_with_nothing(under_test):
    assert await under_test.queue.receive(wait_s=0) == []


async def test_a_waiting_receiver_gets_what_is_sent_meanwhile(under_test):
    waiting = asyncio.create_task(under_test.queue.receive(wait_s=20))
    await asyncio.sleep(0)
    await under_test.send(HELLO)
    assert [delivery.body for delivery in await waiting] == [HELLO.body]


async def test_a_received_message_is_hidden_from_others(under_test):
    await under_test.send(HELLO)
    assert len(await under_test.queue.receive(wait_s=5)) == 1
    assert await under_test.queue.receive(wait_s=0) == []


async def test_receivers_at_once_get_every_message(under_test):
    """A standard SQS queue may hand one out twice; none may lose one."""
    await _send_numbers(under_test, 20)
    received: set[str] = set()
    while len(received) < 20:
        received.update(await _receive_at_once(under_test, receivers=8))
    assert received == {str(number) for number in range(20)}


async def test_no_message_goes_to_two_receivers_at_once(exclusive):
    await _send_numbers(exclusive, 20)
    bodies = await _receive_at_once(exclusive, receivers=8)
    assert sorted(bodies, key=int) == [str(number) for number in range(20)]


async def test_a_deleted_message_never_comes_back(under_test):
    await under_test.send(HELLO)
    (delivery,) = await under_test.queue.receive(wait_s=5)
    await under_test.queue.delete(delivery)
    depth = await under_test.queue.depth()
    assert (depth.visible, depth.in_flight) == (0, 0)


async def test_a_released_message_comes_back_under_a_new_receipt(under_test):
    await under_test.send(HELLO)
    (first,) = await under_test.queue.receive(wait_s=5)
    await under_test.queue.release(first)
    (second,) = await under_test.queue.receive(wait_s=5)
    assert (second.id, second.receive_count) == (first.id, 2)
    assert second.handle != first.handle


async def test_a_message_released_with_delay_stays_hidden_for_it(under_test):
    await under_test.send(HELLO)
    (delivery,) = await under_test.queue.receive(wait_s=5)
    await under_test.queue.release(delivery, delay_s=30)
    assert await under_test.queue.receive(wait_s=0) == []


async def test_a_message_whose_visibility_ends_comes_back(under_test):
    await under_test.send(HELLO)
    (first,) = await under_test.queue.receive(wait_s=5)
    await under_test.queue.extend(first, 1)
    (second,) = await under_test.queue.receive(wait_s=20)
    assert second.receive_count == 2


async def test_an_extended_message_stays_hidden(under_test):
    await under_test.send(HELLO)
    (delivery,) = await under_test.queue.receive(wait_s=5)
    await under_test.queue.extend(delivery, 600)
    assert await under_test.queue.receive(wait_s=0) == []
    assert (await under_test.queue.depth()).in_flight == 1


@pytest.mark.parametrize("ending", ["release", "delete"])
async def test_a_receipt_that_was_given_up_cannot_be_extended(under_test, ending: str):
    await under_test.send(HELLO)
    (delivery,) = await under_test.queue.receive(wait_s=5)
    await getattr(under_test.queue, ending)(delivery)
    with pytest.raises(Conflict) as caught:
        await under_test.queue.extend(delivery, 60)
    assert caught.value.reason == "stale_receipt"


async def test_a_receipt_whose_visibility_ended_cannot_be_extended(under_test):
    await under_test.send(HELLO)
    (first,) = await under_test.queue.receive(wait_s=5)
    await under_test.queue.extend(first, 1)
    await under_test.queue.receive(wait_s=20)
    with pytest.raises(Conflict):
        await under_test.queue.extend(first, 60)


async def test_ending_twice_is_fine(under_test):
    await under_test.send(HELLO)
    (delivery,) = await under_test.queue.receive(wait_s=5)
    await under_test.queue.delete(delivery)
    await under_test.queue.delete(delivery)
    await under_test.queue.release(delivery)
    assert await under_test.queue.receive(wait_s=0) == []


async def test_a_dead_letter_leaves_the_queue_with_its_reason(under_test):
    await under_test.send(HELLO)
    (delivery,) = await under_test.queue.receive(wait_s=5)
    await under_test.queue.dead_letter(delivery, "bad_media")
    depth = await under_test.queue.depth()
    assert (depth.visible, depth.in_flight) == (0, 0)
    assert await under_test.dead_letters() == [(HELLO.body, "bad_media")]


async def test_depth_counts_what_waits_and_what_is_worked_on(under_test):
    for _ in range(3):
        await under_test.send(HELLO)
    await under_test.queue.receive(wait_s=5)
    depth = await under_test.queue.depth()
    assert (depth.visible, depth.in_flight) == (2, 1)


@pytest.mark.parametrize("steps", [0, 1, 3, 10, 30, 100, 300])
async def test_a_receive_that_is_cancelled_strands_no_message(under_test, steps: int):
    await under_test.send(HELLO)
    cancelled = asyncio.create_task(under_test.queue.receive(wait_s=1))
    for _ in range(steps):
        await asyncio.sleep(0)  # lets it get a little further; where exactly must not matter
    cancelled.cancel()
    outcome: Any
    (outcome,) = await asyncio.gather(cancelled, return_exceptions=True)
    # The message is hidden for longer than this waits, so it comes only if it was given back.
    deliveries = outcome if isinstance(outcome, list) else await under_test.queue.receive(wait_s=10)
    assert [delivery.body for delivery in deliveries] == [HELLO.body]


async def test_a_message_received_five_times_in_vain_is_a_dead_letter(under_test):
    await under_test.send(HELLO)
    for _ in range(5):
        (delivery,) = await under_test.queue.receive(wait_s=5)
        await under_test.queue.release(delivery)
    assert await under_test.queue.receive(wait_s=0) == []
    depth = await under_test.queue.depth()
    assert (depth.visible, depth.in_flight) == (0, 0)
    assert await under_test.dead_letters() == [(HELLO.body, "received_too_often")]


async def test_a_delivery_has_its_group(under_test):
    await under_test.send(HELLO)
    (delivery,) = await under_test.queue.receive(wait_s=5)
    assert delivery.group_id == "user-1"


async def test_no_more_than_requested_is_received(under_test):
    for number in range(5):
        await under_test.send(Message(str(number)))
    assert 1 <= len(await under_test.queue.receive(max_messages=3, wait_s=5)) <= 3
    assert (await under_test.queue.depth()).in_flight <= 3


async def test_a_queue_with_a_long_poll_under_way_closes_without_waiting_for_it(under_test):
    await under_test.queue.receive(wait_s=0)  # connected
    polling = asyncio.create_task(under_test.queue.receive(wait_s=20))
    await asyncio.sleep(0)
    polling.cancel()
    async with asyncio.timeout(4):  # a fifth of the poll
        await asyncio.wait([polling])
        await under_test.queue.close()
    assert polling.cancelled()


async def _send_numbers(under_test, count):
    for number in range(count):
        await under_test.send(Message(str(number)))


async def _receive_at_once(under_test, receivers):
    """Bodies of five messages at most for each receiver."""
    batches = await asyncio.gather(*(under_test.queue.receive(max_messages=5, wait_s=1) for _ in range(receivers)))
    return [delivery.body for batch in batches for delivery in batch]
