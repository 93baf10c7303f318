"""Recognition by vendors: regions as requests, words without times, punctuation, requests by settings."""

from __future__ import annotations

import pytest

from onevoice_kit.settings import OPENAI_URL
from services.asr.engines.base import TimeRange
from services.asr.engines.openai import OpenAi
from services.asr.engines.vendor_regions import spread, with_punctuation
from services.asr.settings import AsrSettings
from tests.support.vendor_apis import openai_transcription
from tests.support.vendor_server import KEY, vendor_server
from tests.unit.asr import samples


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("Well, I know. Is it?", ["Well", "I", "know", "Is", "it"], ["Well,", "I", "know.", "Is", "it?"]),
        ("Sí. ¿Qué tal?", ["Sí", "Qué", "tal"], ["Sí.", "¿Qué", "tal?"]),
        ("你好,世界。", ["你", "好", "世", "界"], ["你", "好,", "世", "界。"]),
        ("It costs 5 dollars.", ["It", "costs", "five", "dollars"], ["It", "costs", "five", "dollars"]),
        ("", [], []),
    ],
)
def test_words_get_the_punctuation_of_the_text(text, words, expected):
    assert with_punctuation(text, words) == expected


def test_words_without_times_are_spread_by_their_length():
    placed = spread("a bcd  efgh", 800)
    assert [(word.text, word.start_ms, word.end_ms) for word in placed] == [
        ("a", 0, 100),
        ("bcd", 100, 400),
        ("efgh", 400, 800),
    ]
    assert spread(" ", 800) == []


async def recognised(path, model, regions):
    async with vendor_server(openai_transcription) as server:
        settings = AsrSettings(openai_api_key=KEY, openai_audio_base_url=server.url, openai_asr_model=model)
        engine = OpenAi(settings)
        found = [utterance async for utterance in engine.transcribe(path, regions, "en-US")]
        await engine.close()
    return found, [request.form()[0] for request in server.requests]


async def test_words_have_the_times_of_the_vendor_and_the_probability_of_their_segment(tmp_path):
    path = samples.write(tmp_path / "noise.wav", samples.noise(4))
    found, _ = await recognised(path, "whisper-1", [TimeRange(1000, 2000), TimeRange(3000, 3500)])
    assert [(word.text, word.start_ms, word.end_ms) for word in found[0].words] == [
        ("word0,", 1000, 1300),
        ("word1.", 1500, 1800),
    ]
    assert round(found[0].words[0].confidence, 3) == 0.819


async def test_a_region_costs_all_the_sound_that_is_sent_for_it(tmp_path):
    path = samples.write(tmp_path / "noise.wav", samples.noise(4))
    found, _ = await recognised(path, "whisper-1", [TimeRange(1000, 2000), TimeRange(3000, 4000)])
    assert [utterance.sent_s for utterance in found] == [1.2, 1.1], "a tenth of a second around it, within the file"


@pytest.mark.parametrize(
    ("model", "asked"),
    [("gpt-4o-transcribe", {"language": "en"}), ("gpt-transcribe", {"languages": ["en"]})],
)
async def test_a_model_without_times_is_not_asked_for_them_and_its_words_fill_the_region(tmp_path, model, asked):
    path = samples.write(tmp_path / "noise.wav", samples.noise(3))
    [found], [form] = await recognised(path, model, [TimeRange(1000, 2000)])
    assert form == {"model": model, "response_format": "json", **asked}
    assert [word.text for word in found.words] == ["word0,", "word1."]
    assert (found.words[0].start_ms, found.words[-1].end_ms) == (1000, 2000)


async def test_audio_that_is_too_short_for_the_vendor_has_no_words_and_costs_no_request(tmp_path):
    path = samples.write(tmp_path / "noise.wav", samples.noise(0.05))
    [found], forms = await recognised(path, "whisper-1", [TimeRange(0, 50)])
    assert (found.words, forms) == ((), [])


async def test_the_day_on_which_the_vendor_ends_a_model_is_in_its_description():
    for url, model, ends in (
        (OPENAI_URL, "whisper-1", True),
        (OPENAI_URL, "gpt-transcribe", False),
        ("http://own/v1", "whisper-1", False),
    ):
        described = await OpenAi(AsrSettings(openai_audio_base_url=url, openai_asr_model=model)).describe()
        assert (described.info.shutdown_date is not None) is ends
