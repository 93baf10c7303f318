"""The synthesis engines by name, and the choice of a voice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onevoice_kit.errors import InvalidInput, PreconditionFailed
from services.tts.engines.base import Capabilities
from services.tts.engines.registry import ENGINES, Engines, choose, list_voices, synthesis_engines, voices_for
from services.tts.settings import TtsSettings
from tests.support.synthesis_engine import FakeEngine, voice


@pytest.fixture
def two(registry_of):
    return registry_of(fake=FakeEngine(), other=FakeEngine(name="other"))


async def chosen(registry: Engines, engine: str = "", voice: str = "", language: str = "es") -> str:
    return (await choose(registry, engine, voice, language)).served.id


async def reason(registry, **asked) -> str:
    with pytest.raises(InvalidInput) as caught:
        await chosen(registry, **asked)
    return caught.value.reason


def test_a_configured_name_that_is_no_engine_is_refused_at_once():
    with pytest.raises(InvalidInput, match="espeak"):
        synthesis_engines(TtsSettings(tts_engines=("nonsense",)))
    assert list(ENGINES)[:3] == ["kokoro", "hibari", "espeak"]


def test_the_engines_and_their_order_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("TTS_ENGINES", "espeak, other")
    assert TtsSettings().tts_engines == ("espeak", "other")


async def test_by_default_the_first_voice_of_the_first_engine_speaks(two):
    assert await chosen(two) == "fake:ana-es"
    assert await chosen(two, language="en") == "fake:ana-en-US"


async def test_a_voice_brings_its_engine(two):
    assert await chosen(two, voice="other:bob-es") == "other:bob-es"


async def test_an_engine_may_be_named(two):
    assert await chosen(two, engine="other") == "other:ana-es"


async def test_a_voice_may_speak_another_region_of_its_language(two):
    assert await chosen(two, voice="fake:bob-es-419", language="es-ES") == "fake:bob-es-419"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"language": "de"}, "unsupported_language"),
        ({"language": ""}, "unsupported_language"),
        ({"engine": "nonsense"}, "unknown_engine"),
        ({"voice": "nonsense"}, "unknown_voice"),
        ({"voice": "nonsense:ana"}, "unknown_voice"),
        ({"voice": "fake:nobody"}, "unknown_voice"),
        ({"voice": "other:ana-es", "engine": "fake"}, "unknown_voice"),
        ({"voice": "fake:ana-es", "language": "en"}, "voice_language_mismatch"),
    ],
)
async def test_a_request_without_a_voice_is_refused_with_its_reason(two, asked, expected):
    assert await reason(two, **asked) == expected


async def test_an_engine_that_lacks_something_is_passed_over(registry_of):
    registry = registry_of(fake=FakeEngine(available=False), other=FakeEngine(name="other"))
    assert await chosen(registry) == "other:ana-es"
    assert {voice.engine for voice in await list_voices(registry)} == {"other"}


async def test_where_no_engine_can_work_the_error_names_what_is_missing(registry_of):
    with pytest.raises(PreconditionFailed, match="needs a key") as caught:
        await chosen(registry_of(fake=FakeEngine(available=False)))
    assert caught.value.reason == "engine_unavailable"


async def test_voices_come_by_engine_then_by_language_the_best_first(two):
    listed = [voice.id for voice in await list_voices(two, "es-MX")]
    of_one = ["ana-es-419", "bob-es-419", "ana-es", "bob-es"]
    assert listed == [f"{engine}:{name}" for engine in ("fake", "other") for name in of_one]
    assert [voice.language for voice in await list_voices(two, "es")] == ["es", "es", "es-419", "es-419"] * 2
    assert len(await list_voices(two)) == 16
    assert await list_voices(two, "de") == []


async def test_a_voice_of_several_languages_is_listed_once_with_the_one_that_serves(registry_of):
    registry = registry_of(fake=Polyglot())
    assert [(voice.id, voice.language) for voice in await list_voices(registry, "en-GB")] == [
        ("fake:eve", "en-GB"),
        ("fake:max", "en"),
    ]
    assert [(voice.id, voice.language) for voice in await list_voices(registry)] == [
        ("fake:max", "es"),
        ("fake:eve", "es"),
    ]
    assert await reason(registry, voice="fake:max", language="fr") == "voice_language_mismatch"


async def test_a_voice_of_several_languages_speaks_the_one_of_the_call(registry_of):
    registry = registry_of(fake=Polyglot())
    for wanted, served in (("en-AU", "en"), ("es-MX", "es")):
        assert (await choose(registry, "", "fake:max", wanted)).served.language == served


def test_a_voice_whose_own_language_it_is_comes_before_others():
    listed = voices_for([replace(voice("max", "es"), languages=("es", "pt")), voice("ana", "pt")], "pt")
    assert [(one.id, one.native) for one in listed] == [("fake:ana", True), ("fake:max", False)]


class Polyglot(FakeEngine):
    """Each of its voices speaks several languages."""

    async def describe(self) -> Capabilities:
        tongues = {"max": ("es", "en"), "eve": ("es", "en-GB")}
        voices = tuple(replace(voice(name, "es"), languages=tags) for name, tags in tongues.items())
        return replace(await super().describe(), voices=voices)
