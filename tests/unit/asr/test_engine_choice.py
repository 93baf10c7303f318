"""Which engine a call gets."""

from __future__ import annotations

import pytest

from onevoice_kit.errors import InvalidInput, PreconditionFailed
from services.asr.engines.base import Capabilities, EngineInfo
from services.asr.engines.registry import Registry, diarization_engines, transcription_engines
from services.asr.settings import AsrSettings
from tests.unit.asr.fakes import FakeTranscription


async def test_without_a_name_the_first_that_serves_the_language_is_taken():
    english, any_language = FakeTranscription("one"), FakeTranscription("two", languages=())
    registry = Registry([english, any_language])
    assert registry.choose("", "en-GB") is english
    assert registry.choose("", "de") is any_language


async def test_an_engine_that_is_not_installed_is_passed_over_unless_it_is_named():
    missing, present = FakeTranscription("one", installed=False), FakeTranscription("two")
    registry = Registry([missing, present])
    assert registry.choose("", "en") is present
    with pytest.raises(PreconditionFailed) as caught:
        registry.choose("one", "en")
    assert caught.value.reason == "engine_unavailable"


async def test_an_unknown_name_is_refused():
    with pytest.raises(InvalidInput) as caught:
        Registry([FakeTranscription()]).choose("nonsense", "en")
    assert caught.value.reason == "unknown_engine"


@pytest.mark.parametrize(("name", "language"), [("", "es"), ("fake", "es"), ("", ""), ("", "eng-x")])
async def test_a_language_without_an_engine_is_refused(name, language):
    with pytest.raises(InvalidInput) as caught:
        Registry([FakeTranscription()]).choose(name, language)
    assert caught.value.reason == "unsupported_language"


@pytest.mark.parametrize("language", ["en", "EN", "en-US", "en_GB", "en-Latn-AU"])
def test_a_language_without_region_serves_all_its_regions(language):
    assert Capabilities(EngineInfo("x", "", ""), ("en",)).serves(language)


def test_settings_name_the_engines_in_order():
    settings = AsrSettings(asr_transcription_engines="pocketsphinx", asr_diarization_engines="single")
    assert [e.capabilities.info.name for e in transcription_engines(settings).engines] == ["pocketsphinx"]
    assert [e.capabilities.info.name for e in diarization_engines(settings).engines] == ["single"]


def test_a_setting_that_names_no_engine_stops_the_start():
    with pytest.raises(InvalidInput) as caught:
        transcription_engines(AsrSettings(asr_transcription_engines=("nonsense",)))
    assert caught.value.reason == "unknown_engine"


def test_there_is_one_worker_per_core_unless_set(monkeypatch):
    monkeypatch.setenv("ASR_WORKERS", "3")
    monkeypatch.setenv("ASR_TRANSCRIPTION_ENGINES", " pocketsphinx , other ")
    assert AsrSettings().workers == 3
    assert AsrSettings().asr_transcription_engines == ("pocketsphinx", "other")
    assert AsrSettings(asr_workers=0).workers >= 1


async def test_closing_the_registry_closes_every_engine():
    engines = [FakeTranscription("one"), FakeTranscription("two")]
    await Registry(engines).close()
    assert all(engine.closed for engine in engines)
