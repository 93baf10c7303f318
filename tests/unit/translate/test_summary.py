"""The description of a whole transcript: who makes it, what it costs, and what happens without one."""

from __future__ import annotations

import pytest

from onevoice_kit.engines.layers import Limit
from onevoice_kit.errors import InvalidInput, PreconditionFailed, Unavailable
from services.translate.engines.base import Summary, Term
from services.translate.engines.registry import translation_engines
from services.translate.settings import TranslateSettings
from services.translate.summary import Described, Summarizer, Transcript
from tests.support.translation_engine import FakeEngine

FOUND = Summary("A talk.", (Term("house", "casa"),))


@pytest.fixture
def first():
    engine = FakeEngine(name="first")
    engine.wants_summary = True
    return engine


@pytest.fixture
def second():
    return FakeEngine(name="second")


async def described(*engines: FakeEngine, lines=("one", "\x00", " two "), **changes) -> Described:
    modules = {engine.name: "tests.support.translation_engine" for engine in engines}
    registry = translation_engines(TranslateSettings(translate_engines=tuple(modules)), modules)
    registry._made.update({engine.name: engine for engine in engines})
    summarizer = Summarizer(registry, Limit(2, 0, subject="Translation", retry_after_s=5.0))
    return await summarizer.summarize(Transcript("en", "es", lines, **changes), lambda fraction: None)


async def test_the_engine_that_would_translate_describes_the_lines(first, second):
    found = await described(first, second)
    assert (found.summary, found.engine.name, found.problem) == (FOUND, "first", "")
    assert first.transcripts == [["one", "two"]]


async def test_an_engine_that_wants_no_summary_is_asked_for_none_though_a_later_one_wants_it(first, second):
    found = await described(second, first)
    assert (found.summary, found.engine.name, found.cost_microusd) == (Summary(), "second", 0)
    assert (first.transcripts, second.transcripts) == ([], [])


async def test_an_error_after_which_another_engine_translates_costs_the_summary_alone(first, second):
    first.failure = Unavailable("The engine is out.", reason="engine_failed")
    assert (await described(first, second)).problem == "engine_failed"


async def test_an_error_that_stops_the_translation_too_is_waited_out(first):
    first.failure = Unavailable("The engine is out.", reason="engine_failed")
    with pytest.raises(Unavailable):
        await described(first)


async def test_a_permanent_error_is_left_to_the_translation(first):
    first.failure = PreconditionFailed("The request is refused.", reason="engine_refused")
    found = await described(first)
    assert (found.summary, found.problem) == (Summary(), "engine_refused")


@pytest.mark.parametrize("lines", [("x" * 2001,), ("x",) * 20_001])
async def test_a_transcript_is_bounded(first, lines):
    with pytest.raises(InvalidInput) as caught:
        await described(first, lines=lines)
    assert caught.value.reason == "transcript_too_long"
