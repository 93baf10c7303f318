"""The sound by which Whisper identifies a language."""

from __future__ import annotations

from services.asr.engines.base import SpokenLanguage, TimeRange
from services.asr.engines.whisper_language import WINDOWS, create, windows
from services.asr.settings import AsrSettings


def test_short_regions_share_a_window():
    regions = [TimeRange(start, start + 9000) for start in (0, 10_000, 20_000, 30_000)]
    assert windows(regions) == [regions[:3], regions[3:]]


def test_a_long_region_is_cut_to_a_window():
    assert windows([TimeRange(0, 60_000)]) == [[TimeRange(0, 30_000)]]


def test_the_windows_of_a_long_film_are_from_its_begin_its_middle_and_its_end():
    regions = [TimeRange(start, start + 28_000) for start in range(0, 20 * 60_000, 30_000)]
    assert windows(regions) == [[regions[0]], [regions[19]], [regions[39]]]
    assert len(windows(regions)) == WINDOWS


async def test_a_model_of_english_alone_identifies_nothing():
    described = await create(AsrSettings(whisper_model="tiny.en")).describe()
    assert not described.available
    assert "English" in described.missing


def test_the_probability_of_a_language_is_that_of_the_one_that_serves_it():
    spoken = SpokenLanguage("es", 0.9, {"pt": 0.06, "en": 0.01})
    assert spoken.probability_of("pt-BR") == 0.06
    assert spoken.probability_of("es-419") == 0.9
    assert spoken.probability_of("eu") is None
