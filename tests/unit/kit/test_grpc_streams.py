"""Progress: when it has changed, not too often, never silent for long, never backwards."""

from __future__ import annotations

import asyncio
import contextvars
from contextlib import aclosing

import pytest

from onevoice_kit.errors import InvalidInput
from onevoice_kit.grpc.streams import with_events, with_progress

NEVER_S = 3600.0


def progress(fraction: float) -> tuple[str, float]:
    return ("progress", fraction)


def result(value: float) -> tuple[str, float]:
    return ("result", value)


async def test_quick_work_sends_only_its_result():
    async def work(report):
        report(0.5)
        return 7.0

    assert [message async for message in with_progress(work, progress, result)] == [("result", 7.0)]


async def test_progress_never_decreases_and_stays_within_one():
    steps = asyncio.Queue[float]()

    async def work(report):
        while (step := await steps.get()) >= 0:
            report(step)
        return 1.0

    seen = []
    async with aclosing(with_progress(work, progress, result, min_interval_s=0.005)) as messages:
        for step in (0.5, 0.2, 0.7, 9.0):
            await steps.put(step)
            if step != 0.2:
                seen.append(await anext(messages))
        await steps.put(-1)
        seen += [message async for message in messages]
    assert seen == [("progress", 0.5), ("progress", 0.7), ("progress", 1.0), ("result", 1.0)]


async def test_progress_is_not_sent_more_often_than_requested():
    async def work(report):
        for step in range(1000):
            report(step / 1000)
            await asyncio.sleep(0)
        return 1.0

    messages = [message async for message in with_progress(work, progress, result, min_interval_s=NEVER_S)]
    assert messages == [("result", 1.0)]


async def test_unchanged_progress_is_repeated_as_a_sign_of_life():
    async def work(report):
        await asyncio.Event().wait()
        return 1.0

    stream = with_progress(work, progress, result, min_interval_s=0.002, max_interval_s=0.004)
    async with aclosing(stream) as messages:
        seen = [await anext(messages) for _ in range(3)]
    assert seen == [("progress", 0.0)] * 3


async def test_threads_may_report():
    async def work(report):
        await asyncio.to_thread(report, 0.4)
        await asyncio.Event().wait()
        return 1.0

    async with aclosing(with_progress(work, progress, result, min_interval_s=0.005)) as messages:
        assert await anext(messages) == ("progress", 0.4)


async def test_the_work_keeps_the_callers_context():
    name = contextvars.ContextVar("name", default=0.0)
    name.set(3.0)

    async def work(report):
        return name.get()

    assert [message async for message in with_progress(work, progress, result)] == [("result", 3.0)]


async def test_an_error_of_the_work_is_raised_as_it_is():
    async def work(report):
        raise InvalidInput(reason="bad")

    with pytest.raises(InvalidInput, match="not valid"):
        await anext(with_progress(work, progress, result))


async def test_closing_the_stream_cancels_the_work_and_waits_for_it():
    log = []

    async def work(report):
        report(0.5)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            log.append("cleaned up")
        return 1.0

    async with aclosing(with_progress(work, progress, result, min_interval_s=0.001)) as messages:
        await anext(messages)
    assert log == ["cleaned up"]


async def test_events_come_in_order_all_of_them_before_the_result():
    async def work(report, emit):
        for number in range(100):
            await emit(("event", float(number)))
        return 1.0

    messages = [message async for message in with_events(work, progress, result, min_interval_s=NEVER_S)]
    assert messages == [("event", float(number)) for number in range(100)] + [("result", 1.0)]


async def test_events_sent_before_an_error_are_not_lost():
    async def work(report, emit):
        await emit(("event", 1.0))
        raise InvalidInput

    seen = []
    async with aclosing(with_events(work, progress, result)) as messages:
        seen.append(await anext(messages))
        with pytest.raises(InvalidInput):
            await anext(messages)
    assert seen == [("event", 1.0)]


async def test_a_slow_reader_holds_the_work_back():
    sent = []

    async def work(report, emit):
        for number in range(1000):
            await emit(("event", float(number)))
            sent.append(number)
        return 1.0

    async with aclosing(with_events(work, progress, result)) as messages:
        await anext(messages)
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(sent) < 100
