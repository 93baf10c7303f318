"""Lines of open calls that an engine speaks several at once."""

from __future__ import annotations

import asyncio

import pytest

from onevoice_kit.engines.layers import Limit
from onevoice_kit.errors import Busy, Internal, InvalidInput, Unavailable
from onevoice_kit.testing.waiting import eventually
from services.tts.batching import Batches
from services.tts.engines.base import Line
from services.tts.engines.registry import choose
from tests.support.synthesis_engine import FakeEngine


@pytest.fixture
def engine():
    return FakeEngine(batch=3)


@pytest.fixture
def batches():
    return Batches(Limit(2, 6, subject="Speech synthesis", retry_after_s=1.0))


@pytest.fixture
def speak(registry_of, engine, batches):
    """Begins to speak a line; the task."""
    registry = registry_of(fake=engine)

    async def line(text: str) -> bytes:
        choice = await choose(registry, "", "", "es")
        samples: bytes = await batches.speak(choice, Line(text, choice.served))
        return samples

    return lambda text: asyncio.create_task(line(text))


@pytest.fixture
async def held(engine, speak):
    """A call that is under way with one line, until the gate opens."""
    engine.gate = asyncio.Event()
    task = speak("first")
    await eventually(lambda: engine.waiting)
    return task


async def waiting_lines(batches, count: int) -> None:
    await eventually(lambda: batches._limit._inside == count)


async def test_lines_that_come_together_are_one_call_as_far_as_the_engine_takes_them(engine, speak):
    spoken = await asyncio.gather(*map(speak, ["uno", "dos", "tres", "cuatro"]))
    assert engine.calls == [["uno", "dos", "tres"], ["cuatro"]]
    assert len({len(samples) for samples in spoken}) == 3  # by the length of the text: “uno” and “dos” are equal


async def test_an_idle_engine_begins_with_one_line_and_what_comes_meanwhile_is_the_next_call(
    engine, speak, batches, held
):
    others = [speak(text) for text in ("a", "b")]
    await waiting_lines(batches, 3)
    assert engine.calls == [["first"]]
    engine.gate.set()
    await asyncio.gather(held, *others)
    assert engine.calls == [["first"], ["a", "b"]]


async def test_an_engine_without_batches_speaks_as_many_lines_at_once_as_there_are_places(engine, speak):
    engine.batch, engine.gate = 1, asyncio.Event()
    lines = [speak(text) for text in ("a", "b", "c")]
    await eventually(lambda: engine.waiting == 2)
    engine.gate.set()
    await asyncio.gather(*lines)
    assert engine.calls == [["a"], ["b"], ["c"]]


async def test_a_line_that_fails_takes_no_other_with_it_and_has_a_call_of_its_own(engine, speak):
    lines = [speak(text) for text in ("uno", "outage", "tres")]
    ends = await asyncio.gather(*lines, return_exceptions=True)
    assert [type(end) for end in ends] == [bytes, Unavailable, bytes]
    assert engine.calls[:2] == [["uno", "outage", "tres"], ["outage"]]
    assert getattr(ends[1], "details", {}) == {"failed_engine": "fake"}, "it is the call of its own that fails"


async def test_a_line_that_is_refused_for_good_is_not_requested_again(engine, speak):
    refused = InvalidInput("The engine refused the request.", reason="engine_refused")
    engine.speak_many = lambda lines: asyncio.sleep(0, [b"\1\0", refused])
    ends = await asyncio.gather(*map(speak, ["uno", "dos"]), return_exceptions=True)
    assert ends == [b"\1\0", refused]
    assert engine.calls == []


async def test_a_call_that_fails_fails_each_of_its_lines_and_the_next_one_is_made(engine, speak):
    lines = [speak(text) for text in ("uno", "blackout", "tres")]
    ends = await asyncio.gather(*lines, return_exceptions=True)
    assert [type(end) for end in ends] == [Unavailable] * 3
    assert await speak("cuatro")


async def test_a_reply_that_leaves_a_line_out_is_an_error_and_not_the_sound_of_another_line(engine, speak):
    engine.speak_many = lambda lines: asyncio.sleep(0, [b"\1\0"])
    ends = await asyncio.gather(*map(speak, ["uno", "dos"]), return_exceptions=True)
    assert [type(end) for end in ends] == [Internal, Internal]


async def test_a_line_given_up_before_its_call_is_not_spoken(engine, speak, batches, held):
    others = [speak(text) for text in ("a", "b")]
    await waiting_lines(batches, 3)
    others[0].cancel()
    engine.gate.set()
    await asyncio.gather(held, *others, return_exceptions=True)
    assert engine.calls == [["first"], ["b"]]


async def test_a_call_goes_on_while_one_of_its_lines_is_wanted_and_ends_with_the_last(engine, speak):
    engine.gate = asyncio.Event()
    both = [speak(text) for text in ("a", "b")]
    await eventually(lambda: engine.waiting)
    both[0].cancel()
    await asyncio.wait([both[0]])
    assert (engine.waiting, engine.cancelled) == (1, 0)
    both[1].cancel()
    await asyncio.wait(both)
    await eventually(lambda: engine.cancelled == 1)
    engine.gate = None
    assert await speak("c")
    assert engine.calls == [["a", "b"], ["c"]]


async def test_one_line_too_many_is_refused_as_busy(speak, batches, held, engine):
    others = [speak(str(n)) for n in range(7)]
    await waiting_lines(batches, 8)
    with pytest.raises(Busy) as caught:
        await speak("one too many")
    assert (caught.value.reason, caught.value.retry_after) == ("queue_full", 1.0)
    engine.gate.set()
    await asyncio.gather(held, *others)
    assert len(engine.calls) == 4
