"""The limits of lines in synthesis and of lines that wait."""

from __future__ import annotations

import asyncio

import pytest

from onevoice_kit.errors import Busy
from services.tts.admission import Gate, KeyLocks


async def test_a_full_gate_gives_a_time_to_retry_after_and_opens_again():
    gate = Gate(places=1, waiting=0)
    async with gate.place():
        with pytest.raises(Busy) as caught:
            await gate.place().__aenter__()
    assert caught.value.reason == "queue_full"
    assert caught.value.retry_after == 1.0
    async with gate.place():
        assert gate._inside == 1


async def test_no_more_than_the_places_are_taken_at_once():
    gate = Gate(places=2, waiting=10)
    inside = most = 0

    async def one():
        nonlocal inside, most
        async with gate.place():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(one() for _ in range(10)))
    assert (most, gate._inside) == (2, 0)


async def test_one_that_gives_up_waiting_frees_its_place_in_the_line():
    gate = Gate(places=1, waiting=1)
    async with gate.place():
        waiting = asyncio.create_task(gate.place().__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert gate._inside == 1


async def test_a_key_is_held_by_one_at_a_time_and_forgotten_afterwards():
    locks = KeyLocks()
    order: list[str] = []

    async def one(key, name):
        async with locks.hold(key):
            order.append(f"{name} in")
            await asyncio.sleep(0)
            order.append(f"{name} out")

    await asyncio.gather(one("k", "first"), one("k", "second"), one("other", "third"))
    assert order.index("first out") < order.index("second in")
    assert order.index("third in") < order.index("first out")
    assert locks._locks == {}
