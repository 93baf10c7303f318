"""The mixer takes so many calls, lets so many wait, and refuses the rest."""

from __future__ import annotations

import asyncio

import pytest

from onevoice_kit.errors import Busy
from services.mixer.admission import Gate


async def hold(gate: Gate, entered: asyncio.Event, leave: asyncio.Event) -> None:
    async with gate.place():
        entered.set()
        await leave.wait()


async def test_a_call_too_many_is_refused_with_a_time_to_come_back():
    gate, leave = Gate(places=1, waiting=1), asyncio.Event()
    entered = asyncio.Event(), asyncio.Event()
    working = asyncio.create_task(hold(gate, entered[0], leave))
    await entered[0].wait()
    waiting = asyncio.create_task(hold(gate, entered[1], leave))
    await asyncio.sleep(0)
    with pytest.raises(Busy) as caught:
        async with gate.place():
            pass
    assert caught.value.reason == "mixer_busy"
    assert caught.value.retry_after == 5.0
    assert not entered[1].is_set()
    leave.set()
    await asyncio.gather(working, waiting)
    assert entered[1].is_set()


async def test_a_cancelled_call_gives_its_place_back():
    gate, leave, entered = Gate(places=1, waiting=0), asyncio.Event(), asyncio.Event()
    working = asyncio.create_task(hold(gate, entered, leave))
    await entered.wait()
    working.cancel()
    await asyncio.wait([working])
    async with asyncio.timeout(5), gate.place():
        assert working.cancelled()
