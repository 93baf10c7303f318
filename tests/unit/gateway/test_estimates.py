"""The engines that an estimate expects a job to get, and their prices."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from onevoice_kit.engines.base import Price, Unit
from services.gateway.catalogue.service import Engines
from services.gateway.clients.stages import EngineInfo, VoiceInfo
from services.gateway.estimates import planned
from services.gateway.jobs.schemas import DubIn

PAIRS = frozenset({("en", "es"), ("en", "ja")})
WHISPER = EngineInfo("whisper", "", "1", frozenset({"en", "de"}), True)
DEEPGRAM = EngineInfo(
    "deepgram", "nova-3", "1", frozenset({"en"}), True, prices=(("0.0077", "minute of audio"),), paid=True
)
KEYLESS = EngineInfo("openai", "large", "1", frozenset({"en"}), False, PAIRS, paid=True)
MODEL = replace(KEYLESS, available=True, wants_summary=True)
APERTIUM = EngineInfo("apertium", "", "3", frozenset({"en"}), True, frozenset({("en", "es")}))
KOKORO = EngineInfo("kokoro", "", "1", frozenset({"es"}), True)
ELEVENLABS = EngineInfo("elevenlabs", "", "1", frozenset({"es", "ja"}), True, prices=(("1", "barrel"),), paid=True)
VOICES = (
    VoiceInfo("kokoro:a", "A", "es", "female", "kokoro"),
    VoiceInfo("elevenlabs:b", "B", "es", "male", "elevenlabs"),
)


def plan(translation=(KEYLESS, APERTIUM), source="en", **asked):
    engines = Engines((WHISPER, DEEPGRAM), (), translation, (KOKORO, ELEVENLABS))
    return planned(DubIn(**{"target_languages": ["es"], **asked}), 60_000, source, engines, VOICES)


def test_the_first_engine_that_works_and_serves_the_languages_is_expected():
    found = plan()
    assert (found.asr.name, found.targets[0].translate.name, found.targets[0].tts[0].name) == (
        "whisper",
        "apertium",
        "kokoro",
    )
    assert (found.asr.prices, found.duration_ms, found.source) == ((), 60_000, "en")


def test_a_language_is_expected_to_get_the_engines_that_serve_it():
    japanese = plan(translation=(APERTIUM, MODEL), source=None, target_languages=["es", "ja"]).targets[1]
    assert (japanese.translate.name, japanese.translate.wants_summary, japanese.tts[0].name) == (
        "openai",
        True,
        "elevenlabs",
    )


def test_named_engines_come_with_their_prices_and_those_in_unknown_units_without():
    found = plan(translation=(APERTIUM, MODEL), engines={"asr": "deepgram", "translate": "openai", "tts": "elevenlabs"})
    assert found.asr.prices == (Price(usd=Decimal("0.0077"), unit=Unit.MINUTE),)
    assert (found.targets[0].translate.prices, found.targets[0].tts[0].prices) == (None, None)


def test_chosen_voices_are_spoken_by_their_engines():
    assert [one.name for one in plan(voices={"es": "elevenlabs:b"}).targets[0].tts] == ["elevenlabs"]
    both = plan(voices={"es": {"speaker_1": "kokoro:a", "speaker_2": "elevenlabs:b"}}).targets[0].tts
    assert [one.name for one in both] == ["kokoro", "elevenlabs"]
