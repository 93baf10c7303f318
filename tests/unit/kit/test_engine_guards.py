"""The rest after failures, the pace of calls, and the standard wrappers of an engine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from onevoice_kit.engines.guards import Pace, Rest
from onevoice_kit.engines.layers import Blame, Instrument, Layer, Limit, RetryLayer, call
from onevoice_kit.engines.standard import standard_layers
from onevoice_kit.errors import Busy, DeadlineExceeded, InvalidInput, OneVoiceError, Unavailable
from onevoice_kit.settings import EngineSettings


class Clock:
    """A clock that moves only by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds


class Engine:
    """Fails as `errors` say, one call after another, and then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def rest(clock: Clock, failures: int = 2) -> Rest:
    return Rest(failures, 30.0, subject="The engine “it”", clock=clock)


async def failing(layer: Layer, engine: Engine, times: int) -> list[OneVoiceError]:
    errors = []
    for _ in range(times):
        with pytest.raises(OneVoiceError) as caught:
            await call([layer], engine)
        errors.append(caught.value)
    return errors


async def test_after_failures_in_a_row_calls_are_refused_without_reaching_the_engine():
    clock, engine = Clock(), Engine(*[Unavailable(reason="engine_failed")] * 9)
    layer = rest(clock)
    *_, refused = await failing(layer, engine, 3)
    assert engine.calls == 2
    assert (refused.reason, refused.retry_after, refused.retryable) == ("engine_rests", 30.0, True)
    clock.now += 10
    (refused,) = await failing(layer, engine, 1)
    assert (engine.calls, refused.retry_after) == (2, 20.0)


async def test_after_the_rest_one_answer_opens_the_way_for_all():
    clock, engine = Clock(), Engine(DeadlineExceeded(), Unavailable())
    layer = rest(clock)
    await failing(layer, engine, 2)
    clock.now += 30
    assert [await call([layer], engine) for _ in range(3)] == ["answer"] * 3


async def test_after_the_rest_one_call_tries_and_a_failure_begins_the_rest_anew():
    clock, engine = Clock(), Engine(*[Unavailable()] * 3)
    layer = rest(clock)
    await failing(layer, engine, 2)
    clock.now += 30
    _, refused = await failing(layer, engine, 2)
    assert (engine.calls, refused.reason) == (3, "engine_rests")


@pytest.mark.parametrize("end", ["answered", "cancelled"])
async def test_while_one_call_tries_the_others_are_refused(end: str):
    clock, gate = Clock(), asyncio.Event()
    layer = rest(clock)
    await failing(layer, Engine(*[Unavailable()] * 2), 2)
    clock.now += 30
    trial = asyncio.create_task(call([layer], gate.wait))
    await asyncio.sleep(0)
    (refused,) = await failing(layer, Engine(), 1)
    assert refused.reason == "engine_rests"
    if end == "answered":
        gate.set()
    else:
        trial.cancel()
    await asyncio.wait([trial])
    assert await call([layer], Engine()) == "answer"


@pytest.mark.parametrize("error", [Busy(), InvalidInput()])
async def test_an_engine_that_is_busy_or_refuses_an_input_does_not_rest(error: OneVoiceError):
    engine = Engine(*[error] * 9)
    await failing(rest(Clock()), engine, 9)
    assert engine.calls == 9


async def test_an_answer_between_two_failures_begins_the_count_anew():
    layer, engine = rest(Clock()), Engine(Unavailable())
    await failing(layer, engine, 1)
    await call([layer], engine)
    engine.errors = [Unavailable()]
    (error,) = await failing(layer, engine, 1)
    assert error.reason != "engine_rests"
    assert await call([layer], engine) == "answer"


async def test_calls_start_evenly_at_their_pace():
    clock = Clock()
    layer = Pace(30, subject="It", clock=clock, sleep=clock.sleep)
    for _ in range(3):
        await call([layer], Engine())
    assert clock.slept == [2.0, 2.0]
    clock.now += 60
    await call([layer], Engine())
    assert clock.slept == [2.0, 2.0]


async def test_a_call_whose_turn_is_far_away_is_refused_and_takes_no_turn():
    clock, gate = Clock(), asyncio.Event()

    async def until_open(_seconds: float) -> None:
        await gate.wait()

    layer = Pace(30, subject="It", longest_s=3.0, clock=clock, sleep=until_open)
    await call([layer], Engine())
    waiting = asyncio.create_task(call([layer], Engine()))
    await asyncio.sleep(0)
    errors = await failing(layer, Engine(), 2)
    assert [(error.reason, error.retry_after) for error in errors] == [("engine_pace", 4.0)] * 2
    gate.set()
    assert await waiting == "answer"


def kinds(layers: Sequence[Layer]) -> list[type]:
    return [type(layer) for layer in layers]


def test_the_settings_decide_which_wrappers_an_engine_gets():
    settings = EngineSettings(
        engine_retry_budget_s=5.0,
        engine_limits={"deepgram": {"at_once": 2, "per_minute": 60}},
    )
    layers = standard_layers("synthesis", settings)
    assert kinds(layers("deepgram")) == [Blame, RetryLayer, Rest, Limit, Pace, Instrument]
    assert kinds(layers("espeak")) == [Blame, RetryLayer, Rest, Instrument]
    assert kinds(standard_layers("synthesis", EngineSettings(engine_rest_after=0))("espeak")) == [Blame, Instrument]


def test_limits_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ENGINE_LIMITS", '{"elevenlabs": {"at_once": 5}}')
    limits = EngineSettings().engine_limits["elevenlabs"]
    assert (limits.at_once, limits.per_minute) == (5, None)
