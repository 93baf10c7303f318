"""Wrappers around an engine's calls: limit, retry, instrument, fallback, each alone and together."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, nullcontext
from typing import Any

import pytest
from prometheus_client import REGISTRY

from onevoice_kit.engines.base import Capabilities, EngineFailure, EngineInfo
from onevoice_kit.engines.layers import FAILED_ENGINE, Blame, Instrument, Layer, Limit, RetryLayer, call, stream
from onevoice_kit.engines.registry import Candidate, fallback
from onevoice_kit.errors import (
    Busy,
    DeadlineExceeded,
    InvalidInput,
    OneVoiceError,
    PreconditionFailed,
    Unavailable,
)
from onevoice_kit.retry import Backoff, Retry
from onevoice_kit.testing.waiting import eventually


class Calls:
    """Streams that give 1, 2, …; `errors` are raised by one execution after another, after `before` items."""

    def __init__(self, *errors: Exception | None, before: int = 0, items: int = 2) -> None:
        self.errors = list(errors)
        self.before, self.items = before, items
        self.started = self.closed = 0

    async def __call__(self):
        self.started += 1
        error = self.errors.pop(0) if self.errors else None
        try:
            for item in range(1, self.items + 1):
                if error is not None and item > self.before:
                    raise error
                yield item
        finally:
            self.closed += 1


async def no_wait(_seconds: float) -> None:
    await asyncio.sleep(0)


def retrying(attempts: int = 3) -> RetryLayer:
    return RetryLayer(Retry(Backoff(0.001), attempts=attempts, sleep=no_wait))


async def collect(layers, calls) -> list[int]:
    async with aclosing(stream(layers, calls)) as items:
        return [item async for item in items]


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_without_layers_a_call_passes_as_it_is():
    assert await collect([], Calls()) == [1, 2]


async def test_a_call_that_fails_before_its_first_item_is_repeated():
    calls = Calls(Unavailable(), Unavailable())
    assert await collect([retrying()], calls) == [1, 2]
    assert calls.started == calls.closed == 3


async def test_a_call_that_gave_an_item_is_never_repeated():
    calls = Calls(Unavailable(), before=1)
    async with aclosing(stream([retrying()], calls)) as items:
        assert await anext(items) == 1
        with pytest.raises(Unavailable):
            await anext(items)
    assert calls.started == 1


async def test_the_last_error_comes_through_when_attempts_are_used_up():
    with pytest.raises(Unavailable, match="third"):
        await collect([retrying()], Calls(Unavailable("first"), Unavailable("second"), Unavailable("third")))


async def test_closing_a_stream_closes_the_engines_stream_through_every_layer():
    calls = Calls(items=9)
    layers: list[Layer] = [Instrument("stage", "closing"), Limit(1, 0, subject="It", retry_after_s=1), retrying()]
    async with aclosing(stream(layers, calls)) as items:
        assert await anext(items) == 1
    assert calls.closed == 1


async def test_a_limit_refuses_the_call_beyond_those_that_run_and_wait():
    limit, gate = Limit(1, 1, subject="Speech", retry_after_s=7.0), asyncio.Event()
    tasks = [asyncio.create_task(call([limit], gate.wait)) for _ in range(2)]
    await eventually(lambda: limit._inside == 2)
    with pytest.raises(Busy, match="Speech is full") as caught:
        await call([limit], gate.wait)
    assert (caught.value.reason, caught.value.retry_after) == ("queue_full", 7.0)
    gate.set()
    assert await asyncio.gather(*tasks) == [True, True]


async def test_a_limit_runs_as_many_calls_at_once_as_it_has_places():
    limit, running, most = Limit(2, 8, subject="It", retry_after_s=1), 0, 0

    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    await asyncio.gather(*(call([limit], work) for _ in range(10)))
    assert most == 2


async def test_of_those_that_entered_several_may_share_a_turn():
    limit = Limit(1, 2, subject="It", retry_after_s=1)
    with limit.entry(), limit.entry(), limit.entry():
        async with limit.turn():
            with pytest.raises(Busy), limit.entry():
                pass
    with limit.entry():
        pass


@pytest.mark.parametrize("ending", ["error", "cancel"])
async def test_a_place_is_free_again_after_a_failed_and_a_cancelled_call(ending):
    limit = Limit(1, 0, subject="It", retry_after_s=1)
    if ending == "error":
        with pytest.raises(InvalidInput):
            await collect([limit], Calls(InvalidInput()))
    else:
        task = asyncio.create_task(call([limit], asyncio.Event().wait))
        await eventually(lambda: limit._inside == 1)
        task.cancel()
        await asyncio.wait([task])
    assert await collect([limit], Calls()) == [1, 2]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(None, "ok"), (Unavailable(), "unavailable"), (Busy(), "busy"), (KeyError("x"), "internal")],
)
async def test_calls_are_counted_by_outcome_and_timed(error, outcome):
    labels = {"stage": "testing", "engine": f"counted-{outcome}"}
    with pytest.raises(type(error)) if error else nullcontext():
        await collect([Instrument(**labels)], Calls(error))
    assert sample("engine_calls_total", **labels, outcome=outcome) == 1
    assert sample("engine_call_seconds_count", **labels) == 1
    assert sample("engine_calls_in_flight", **labels) == 0


async def test_a_cancelled_call_is_counted_as_cancelled():
    labels = {"stage": "testing", "engine": "cancelled"}
    task = asyncio.create_task(call([Instrument(**labels)], asyncio.Event().wait))
    await eventually(lambda: sample("engine_calls_in_flight", **labels) == 1)
    task.cancel()
    await asyncio.wait([task])
    assert sample("engine_calls_total", **labels, outcome="cancelled") == 1


async def test_retries_under_an_instrument_are_one_call_and_over_it_are_several():
    under = {"stage": "testing", "engine": "under"}
    over = {"stage": "testing", "engine": "over"}
    await collect([Instrument(**under), retrying()], Calls(Unavailable()))
    await collect([retrying(), Instrument(**over)], Calls(Unavailable()))
    assert sample("engine_call_seconds_count", **under) == 1
    assert sample("engine_call_seconds_count", **over) == 2


def candidates(*calls: Calls) -> list[Candidate[Any, Capabilities, None]]:
    """One candidate for each; its engine is the calls themselves."""
    return [
        Candidate(one, Capabilities(info=EngineInfo(f"engine-{place}")), None) for place, one in enumerate(calls, 1)
    ]


async def fall(*calls: Calls) -> list[tuple[str, int]]:
    return [(info.name, item) for info, item in await fall_with_failures(*calls)]


async def fall_with_failures(*calls: Calls) -> list[tuple[EngineInfo, int]]:
    async with aclosing(
        fallback("testing", candidates(*calls), lambda one: one.stream(lambda engine: engine()))
    ) as items:
        return [(candidate.used(candidate.capabilities.info), item) async for candidate, item in items]


async def test_the_first_candidate_serves_while_it_works():
    second = Calls()
    assert await fall(Calls(), second) == [("engine-1", 1), ("engine-1", 2)]
    assert second.started == 0


async def test_the_next_candidate_takes_over_and_its_items_name_it():
    before = sample("engine_fallbacks_total", stage="testing", engine="engine-1")
    assert await fall(Calls(Unavailable()), Calls()) == [("engine-2", 1), ("engine-2", 2)]
    assert sample("engine_fallbacks_total", stage="testing", engine="engine-1") == before + 1


async def test_the_candidate_that_serves_names_those_that_failed_before_it_in_order():
    failing = Calls(Unavailable(reason="engine_failed")), Calls(PreconditionFailed(reason="engine_key_refused"))
    [(info, _), *_] = await fall_with_failures(*failing, Calls())
    assert info.name == "engine-3"
    assert info.after == (
        EngineFailure("engine-1", "engine_failed"),
        EngineFailure("engine-2", "engine_key_refused"),
    )
    assert (await fall_with_failures(Calls()))[0][0].after == ()


@pytest.mark.parametrize("error", [Unavailable, PreconditionFailed])
async def test_a_candidate_that_gave_an_item_is_not_replaced_and_a_new_call_may_help(error: type[OneVoiceError]):
    second = Calls()
    with pytest.raises(Unavailable) as caught:
        await fall(Calls(error(reason="engine_key_refused", details={"a": "b"}), before=1), second)
    assert second.started == 0
    assert (caught.value.reason, caught.value.retryable, caught.value.details) == (
        "engine_key_refused",
        True,
        {"a": "b"},
    )


async def test_an_error_that_another_engine_would_not_cure_is_not_passed_on():
    second = Calls()
    with pytest.raises(InvalidInput):
        await fall(Calls(InvalidInput()), second)
    assert second.started == 0


@pytest.mark.parametrize("reason", ["engine_key_refused", "engine_unavailable"])
async def test_a_permanent_error_that_is_the_engines_is_passed_on_to_the_next(reason: str):
    assert await fall(Calls(PreconditionFailed(reason=reason)), Calls()) == [("engine-2", 1), ("engine-2", 2)]
    second = Calls()
    with pytest.raises(PreconditionFailed):
        await fall(Calls(PreconditionFailed(reason="no_speech")), second)
    assert second.started == 0


@pytest.mark.parametrize(
    ("error", "blamed"),
    [
        (Unavailable(reason="engine_failed"), True),
        (DeadlineExceeded(reason="engine_timeout"), True),
        (PreconditionFailed(reason="engine_key_refused"), True),
        (Busy(reason="engine_busy"), False),
        (InvalidInput(reason="engine_refused"), False),
    ],
)
async def test_the_error_of_an_engine_that_does_not_work_names_it(error: OneVoiceError, blamed: bool):
    with pytest.raises(type(error)) as caught:
        await collect([Blame("one")], Calls(error))
    assert caught.value.details.get(FAILED_ENGINE) == ("one" if blamed else None)
    assert await collect([Blame("one")], Calls()) == [1, 2]


async def test_where_all_candidates_fail_the_error_is_the_last_ones():
    with pytest.raises(Busy, match="third"):
        await fall(Calls(Unavailable("first")), Calls(Unavailable("second")), Calls(Busy("third")))
