"""The use case: checks, order, ids, what happens around an engine."""

from __future__ import annotations

import pytest

from onevoice_kit.engines.base import EngineFailure, EngineInfo
from onevoice_kit.engines.layers import Limit
from onevoice_kit.errors import Busy, InvalidInput, PreconditionFailed, Unavailable
from services.translate.engines.base import Context, LanguagePair, Line, Summary, Term, Translation
from services.translate.engines.registry import translation_engines
from services.translate.settings import TranslateSettings
from services.translate.translation import Request, Segment, Translator
from tests.support.translation_engine import FakeEngine


def translator_of(*engines: FakeEngine, max_calls: int = 2) -> Translator:
    """The use case with the engines of the test, in order."""
    modules = {engine.name: "tests.support.translation_engine" for engine in engines}
    registry = translation_engines(TranslateSettings(translate_engines=tuple(modules)), modules)
    registry._made.update({engine.name: engine for engine in engines})
    return Translator(registry, Limit(max_calls, 0, subject="Translation", retry_after_s=5.0))


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def translator(engine):
    return translator_of(engine)


def request(*texts: str, **changes) -> Request:
    segments = tuple(Segment(f"s{i}", text) for i, text in enumerate(texts))
    return Request(**{"source_language": "en", "target_language": "es", "segments": segments, **changes})


async def run(translator, asked):
    return await translator.translate(asked, lambda fraction: None)


async def reason(translator, asked):
    with pytest.raises(InvalidInput) as caught:
        await run(translator, asked)
    return caught.value.reason


async def test_the_same_ids_come_back_in_the_same_order(translator):
    result = await run(translator, request("one", "", "two", "42", "three"))
    assert [(one.id, one.text) for one in result.segments] == [
        ("s0", "ONE"),
        ("s1", ""),
        ("s2", "TWO"),
        ("s3", "42"),
        ("s4", "THREE"),
    ]


async def test_the_engine_gets_each_line_with_words_cleaned_and_as_it_was_written(translator, engine):
    await run(translator, request("what  is\x00 this", "…", "Written\u200b here"))
    assert engine.seen == [Line("what is this"), Line("Written here")]


@pytest.mark.parametrize("mark", ["¿", "¡", "؟", "。"])
async def test_the_marks_that_an_engine_sets_reach_the_result_whatever_the_target(mark):
    # The rules that add and remove such marks are Apertium's own; another engine writes the language itself.
    engine = FakeEngine(pairs=(LanguagePair("en", "gl"),))
    result = await run(translator_of(engine), request(f"{mark}who goes{mark}", target_language="gl"))
    assert result.segments[0].text == f"{mark}WHO GOES{mark}"


async def test_the_result_names_the_engine_and_the_words_it_did_not_know(translator):
    result = await run(translator, request("a quiz and a quiz"))
    assert result.segments[0].unknown_words == ("quiz",)
    assert result.engine == EngineInfo("fake", "en-es", "1")


async def test_a_line_the_engine_returns_nothing_for_is_passed_through_as_unknown(translator):
    result = await run(translator, request("silence please"))
    assert result.segments[0].text == "silence please"
    assert result.segments[0].unknown_words == ("silence", "please")


async def test_a_translation_reports_whether_it_is_within_its_budget(translator):
    segments = tuple(Segment(str(limit), "four!", limit) for limit in (0, 4, 5))
    result = await run(translator, request(segments=segments))
    assert [one.within_budget for one in result.segments] == [True, False, True]


async def test_a_glossary_term_keeps_its_case(translator):
    result = await run(translator, request("phone home", glossary=(Term("phone", "iPhone"),)))
    assert result.segments[0].text == "iPhone HOME"


async def test_nothing_to_translate_is_fine(translator, engine):
    result = await run(translator, request())
    assert result.segments == ()
    assert engine.seen == []


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (request(*["x"] * 501), "too_many_segments"),
        (request("x" * 2001), "text_too_long"),
        (request(segments=(Segment("a", "x"), Segment("a", "y"))), "duplicate_segment_id"),
        (request(segments=(Segment("a", "x", -1),)), "invalid_max_chars"),
        (request("x", glossary=(Term("", "y"),)), "invalid_glossary"),
        (request("x", glossary=(Term("y", " \n"),)), "invalid_glossary"),
        (request("x", glossary=(Term("y", "z" * 201),)), "invalid_glossary"),
        (request("x", glossary=(Term("y", "z"),) * 501), "invalid_glossary"),
        (request("x", target_language="fr"), "unsupported_language_pair"),
        (request("x", target_language="en"), "unsupported_language_pair"),
        (request("x", source_language=""), "unsupported_language_pair"),
        (request("x", engine="other"), "unknown_engine"),
    ],
)
async def test_a_request_that_cannot_be_served_is_refused_with_its_reason(translator, asked, expected):
    assert await reason(translator, asked) == expected


async def test_the_longest_request_is_served(translator):
    result = await run(translator, request(*["x" * 2000] * 500))
    assert len(result.segments) == 500


async def test_an_engine_that_lacks_something_is_passed_over():
    second = FakeEngine(name="second")
    await run(translator_of(FakeEngine(available=False), second), request("hello"))
    assert [line.text for line in second.seen] == ["hello"]


async def test_where_no_engine_can_work_the_error_names_what_is_missing():
    with pytest.raises(PreconditionFailed, match="needs a key") as caught:
        await run(translator_of(FakeEngine(available=False)), request("hello"))
    assert caught.value.reason == "engine_unavailable"


async def test_an_engines_error_is_passed_on_and_frees_the_place(translator):
    for _ in range(3):
        with pytest.raises(Unavailable):
            await run(translator, request("an outage"))
    assert len((await run(translator, request("fine"))).segments) == 1


async def test_one_call_too_many_gets_the_time_to_retry_after():
    with pytest.raises(Busy) as caught:
        await run(translator_of(FakeEngine(), max_calls=0), request("hello"))
    assert (caught.value.reason, caught.value.retry_after) == ("queue_full", 5.0)


async def test_the_next_engine_takes_over_and_the_result_names_it():
    first, second = FakeEngine(name="first"), FakeEngine(name="second")
    first.failure = Unavailable("It is out.", reason="engine_failed")
    result = await run(translator_of(first, second), request("hello", "world"))
    assert [one.text for one in result.segments] == ["HELLO", "WORLD"]
    assert (result.engine.name, result.engine.after) == ("second", (EngineFailure("first", "engine_failed"),))


async def test_an_engine_that_was_named_is_not_replaced():
    first, second = FakeEngine(name="first"), FakeEngine(name="second")
    first.failure = Unavailable("It is out.")
    with pytest.raises(Unavailable):
        await run(translator_of(first, second), request("hello", engine="first"))
    assert second.seen == []


async def test_terms_that_an_engine_does_not_keep_are_named(translator, engine):
    engine.translate = untouched
    terms = (Term("Dragon  Stone", "piedra"), Term("lake", "lago"), Term("drag", "arrastrar"), Term("龍", "drac"))
    result = await run(translator, request("The dragon stone", "A LAKE", "el lago", "黒龍です", glossary=terms))
    assert [one.missed_terms for one in result.segments] == [("Dragon  Stone",), ("lake",), (), ("龍",)]


async def untouched(pair, lines, terms, report, context):
    return [Translation(line.text) for line in lines]


async def test_the_surroundings_of_the_lines_reach_the_engine_as_one_safe_line_each(translator, engine):
    about = Summary("A\ntalk.", (Term("house\x00", "casa"), Term("\n", "x")))
    await run(translator, request("one", context=Context(about, ("before\r\nit",), ("after",))))
    assert engine.contexts == [Context(Summary("A talk.", (Term("house", "casa"),)), ("before it",), ("after",))]


@pytest.mark.parametrize(
    "context",
    [
        Context(Summary("x" * 1001)),
        Context(Summary("", (Term("a", "b"),) * 101)),
        Context(Summary("", (Term("a" * 201, "b"),))),
        Context(before=("x",) * 11),
        Context(after=("x" * 2001,)),
    ],
)
async def test_surroundings_are_bounded(translator, context):
    assert await reason(translator, request("one", context=context)) == "invalid_context"
