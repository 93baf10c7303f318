"""The order of the queue in memory; what every queue does is in the contract suite."""

from __future__ import annotations

import asyncio

import pytest

from onevoice_kit.queue.base import Message
from onevoice_kit.testing.memory_queue import MemoryQueue
from onevoice_kit.testing.waiting import eventually

AT_ONCE_S, NEVER_S = 1e-12, 1e12


@pytest.mark.parametrize(("age_s", "order"), [(NEVER_S, ["high", "low"]), (AT_ONCE_S, ["low", "high"])])
async def test_low_that_has_waited_counts_as_high(age_s: float, order: list[str]) -> None:
    queue = MemoryQueue(30, age_s=age_s)
    queue.send(Message("low"), -10)
    queue.send(Message("high"), 10)
    assert [delivery.body for delivery in await queue.receive(max_messages=2, wait_s=0)] == order


async def test_a_receiver_waits_while_all_that_is_left_is_of_a_group_that_holds_its_share() -> None:
    queue = MemoryQueue(3600, most_per_group=1)
    for number in range(2):
        queue.send(Message(f"a{number}", group_id="a"))
    (first,) = await queue.receive(max_messages=2, wait_s=0)
    second = asyncio.create_task(queue.receive(wait_s=600))
    await eventually(lambda: bool(queue._waiters))
    await queue.delete(first)
    assert [delivery.body for delivery in await second] == ["a1"]
