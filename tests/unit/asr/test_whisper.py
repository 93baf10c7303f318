"""The engine `whisper` around its model: its description, its words on the timeline, the engine that stands in."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from onevoice_kit.errors import InvalidInput
from onevoice_kit.languages import normalise
from services.asr.engines import whisper
from services.asr.engines.base import TimeRange
from services.asr.engines.registry import transcription_engines
from services.asr.engines.whisper_model import WHISPER_BASE, TimedWord, timed
from services.asr.settings import AsrSettings

REGION = TimeRange(1000, 2000)


def placed(*times: tuple[int, int]) -> list[tuple[int, int]]:
    words = [TimedWord("word", start, end, 0.5) for start, end in times]
    return [(word.start_ms, word.end_ms) for word in whisper.within(REGION, 900, words)]


def piece(word: str, probability: float = 1.0) -> dict[str, Any]:
    return {"word": word, "tokens": [1], "start": 0.1, "end": 0.2, "probability": probability}


def test_words_are_placed_on_the_timeline_of_the_source():
    assert placed((200, 300), (300, 450)) == [(1100, 1200), (1200, 1350)]


def test_words_stay_inside_their_region():
    assert placed((0, 300), (300, 1400)) == [(1000, 1200), (1200, 2000)]


def test_words_at_one_moment_or_after_the_end_get_a_length_and_keep_their_order():
    assert placed((500, 500), (500, 500)) == [(1400, 1401), (1401, 1402)]
    assert placed((1500, 1600), (1600, 1700)) == [(1998, 1999), (1999, 2000)]


def test_parts_of_a_word_and_punctuation_are_joined_to_it():
    words = timed([piece(" ill", 0.9), piece("-disposed", 0.4), piece("."), piece(" He")], "en")
    assert [(word.text, word.confidence) for word in words] == [("ill-disposed.", 0.4), ("He", 1.0)]


def test_signs_of_a_language_without_spaces_stay_apart():
    assert [word.text for word in timed([piece("你"), piece("好"), piece("。")], "zh")] == ["你", "好。"]


def test_every_language_has_a_bcp_47_tag():
    assert [tag for tag in whisper.LANGUAGES if normalise(tag) != tag and tag != "no"] == []
    assert {"en", "ca", "pt", "jv", "fil", "zh"} <= set(whisper.LANGUAGES)


@pytest.mark.parametrize(
    ("settings", "model"),
    [
        ({}, "base"),
        ({"whisper_model": "models/large-v3-turbo"}, "large-v3-turbo"),
        ({"whisper_model": "tiny.en", "whisper_compute_type": "float32"}, "tiny.en (float32)"),
    ],
)
async def test_the_lineage_names_the_model(settings, model):
    described = await whisper.create(AsrSettings(**settings)).describe()
    assert (described.info.name, described.info.model) == ("whisper", model)
    assert described.serves("es") is ("en" not in model)


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        (dataclasses.replace(WHISPER_BASE, modules=("no_such_module",)), "no-such-module"),
        (
            dataclasses.replace(WHISPER_BASE, files=(dataclasses.replace(WHISPER_BASE.files[1], sha256="0" * 64),)),
            "config.json",
        ),
    ],
)
async def test_without_its_package_or_with_other_weights_the_next_engine_serves(monkeypatch, weights, reason):
    monkeypatch.setattr(whisper, "WHISPER_BASE", weights)
    engines = transcription_engines(AsrSettings(asr_transcription_engines=("whisper", "pocketsphinx")))
    described, _ = await engines.describe()
    assert reason in described.missing
    [serving] = await engines.candidates("", lambda one: one.serves("en") or None, InvalidInput())
    assert serving.capabilities.info.name == "pocketsphinx"
