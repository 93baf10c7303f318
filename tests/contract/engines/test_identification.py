"""The contract of engines that identify the language that is spoken."""

from __future__ import annotations

import pytest

from onevoice_kit.errors import InvalidInput
from services.asr.engines.base import TimeRange

pytestmark = pytest.mark.xdist_group("asr-engines")

KIND = "identification"
REGIONS = [TimeRange(1200, 2400), TimeRange(2400, 4200)]


async def test_a_read_sentence_has_its_language(engine, audio):
    found = await engine.identify(audio, REGIONS)
    assert found.language == "en"
    assert 0.5 < found.probability <= 1


async def test_the_language_is_one_of_the_engine(engine, audio):
    assert (await engine.describe()).serves((await engine.identify(audio, REGIONS)).language)


async def test_the_same_regions_give_the_same_language(engine, audio):
    assert await engine.identify(audio, REGIONS) == await engine.identify(audio, REGIONS)


async def test_regions_after_the_end_are_refused(engine, audio):
    with pytest.raises(InvalidInput) as caught:
        await engine.identify(audio, [TimeRange(90_000, 91_000)])
    assert caught.value.reason == "invalid_regions"
