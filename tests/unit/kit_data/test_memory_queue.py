"""The order of the queue in memory; what every queue does is in the contract suite."""

from __future__ import annotations

import pytest

from onevoice_kit.queue.base import Message
from onevoice_kit.testing.memory_queue import MemoryQueue

AT_ONCE_S, NEVER_S = 1e-12, 1e12


@pytest.mark.parametrize(("age_s", "order"), [(NEVER_S, ["high", "low"]), (AT_ONCE_S, ["low", "high"])])
async def test_low_that_has_waited_counts_as_high(age_s: float, order: list[str]) -> None:
    queue = MemoryQueue(30, age_s=age_s)
    queue.send(Message("low"), -10)
    queue.send(Message("high"), 10)
    assert [delivery.body for delivery in await queue.receive(max_messages=2, wait_s=0)] == order
