"""The contract of translation engines."""

from __future__ import annotations

import asyncio

import pytest

from services.translate.engines.base import LanguagePair, Line, Term

KIND = "translation"
EN_ES = LanguagePair("en", "es")
EN_CA = LanguagePair("en", "ca")


def ignore(fraction: float) -> None:
    assert 0 <= fraction <= 1


async def translated(engine, texts, pair=EN_ES, terms=()):
    await engine.describe()
    return await engine.translate(pair, [Line(text) for text in texts], terms, ignore)


async def test_an_engine_declares_its_capabilities(engine):
    capabilities = await engine.describe()
    assert capabilities.available
    assert capabilities.info.name
    assert capabilities.info.version
    assert {EN_ES, EN_CA} <= set(capabilities.pairs)
    assert len(set(capabilities.pairs)) == len(capabilities.pairs)


async def test_the_engine_used_names_its_model_and_version(engine):
    await engine.describe()
    used = engine.used_for(EN_ES)
    assert used.name == (await engine.describe()).info.name
    assert used.model
    assert used.version


@pytest.mark.parametrize("pair", [EN_ES, EN_CA])
async def test_every_line_is_answered_in_order(engine, pair):
    lines = [f"The number is {number}." for number in range(120)]
    answers = await translated(engine, lines, pair)
    assert [str(number) in answer.text for number, answer in enumerate(answers)] == [True] * 120


async def test_no_lines_are_fine(engine):
    assert await translated(engine, []) == []


async def test_the_same_lines_are_translated_the_same_way_again(engine):
    lines = ["This is a house.", "Where is the dog?"]
    assert await translated(engine, lines) == await translated(engine, lines)


async def test_a_term_is_translated_by_the_glossary(engine):
    lines = ["The Dragon Stone is red.", "I have a dragon stone."]
    answers = await translated(engine, lines, terms=[Term("dragon stone", "Piedra [X] *1")])
    assert ["Piedra [X] *1" in answer.text for answer in answers] == [True, True]
    assert all("Piedra" not in word for answer in answers for word in answer.unknown_words)


async def test_unknown_words_come_through_unmarked_and_are_named(engine):
    [answer] = await translated(engine, ["This is a qwertyish."])
    assert "qwertyish" in answer.text.lower()
    assert "*" not in answer.text
    assert answer.unknown_words == ("qwertyish",)


async def test_progress_grows_to_one(engine):
    seen: list[float] = []
    await engine.describe()
    await engine.translate(EN_ES, [Line("A house.")] * 120, (), seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


@pytest.mark.parametrize(
    "text", ["hello", "where do you live", "iT iS raining", "(", "x" * 2000, "你好", "a" * 3 + "\u200d"]
)
async def test_a_line_may_be_written_in_any_way(engine, text):
    [answer] = await translated(engine, [text])
    assert isinstance(answer.text, str)


async def test_after_a_cancelled_call_it_still_works(engine):
    await engine.describe()
    task = asyncio.create_task(translated(engine, ["The house is red."] * 200))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert len(await translated(engine, ["This is a house."])) == 1


async def test_calls_at_the_same_time_keep_their_lines_apart(engine):
    low, high = await asyncio.gather(
        translated(engine, [f"The number is {number}." for number in range(60)]),
        translated(engine, [f"The number is {number}." for number in range(100, 160)]),
    )
    assert all(str(number) in answer.text for number, answer in enumerate(low))
    assert all(str(number) in answer.text for number, answer in enumerate(high, 100))
