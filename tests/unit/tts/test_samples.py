"""Samples of voices: spoken once for everyone, or the vendor's recording, and never at a cost."""

from __future__ import annotations

from decimal import Decimal

import pytest

from onevoice_kit.engines.base import EngineInfo, Price, Prices, Unit
from onevoice_kit.engines.layers import Limit
from onevoice_kit.errors import InvalidInput, NotFound
from onevoice_kit.languages import normalise
from services.tts.batching import Batches
from services.tts.engines.kokoro import VOICES
from services.tts.samples import PREFIX, Samples, _sentences, sentence
from services.tts.synthesis import Synthesizer
from tests.support.synthesis_engine import FakeEngine

PAID = (Price(usd=Decimal(15), unit=Unit.MILLION_CHARACTERS),)
RECORDING = "https://vendor.example/ana.mp3"


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def samples(file_storage, registry_of, engine, now):
    registry = registry_of(fake=engine)
    limit = Limit(1, 1, subject="Speech synthesis", retry_after_s=1.0)
    return Samples(Synthesizer(file_storage, registry, Batches(limit)), registry, lambda: now[0])


def paid(engine: FakeEngine, recording: str | None, prices: Prices | None = PAID) -> None:
    """Makes the engine one of a vendor, with recordings unless there is none."""
    engine.info, engine.recorded = EngineInfo("fake", prices=prices), recording


async def test_a_sample_is_a_sentence_in_the_voices_language_under_the_prefix_of_all_samples(
    samples, engine, file_storage
):
    sample = await samples.sample("fake:bob-es", "")
    assert engine.spoken == [(sentence("es"), "fake:bob-es", 1.0)]
    assert file_storage.key(sample.uri).startswith(f"{PREFIX}/tts-")
    assert sample.content_type == "audio/wav"


async def test_a_sample_is_spoken_once_for_everyone(samples, engine):
    assert await samples.sample("fake:bob-es", "") == await samples.sample("fake:bob-es", "es")
    assert len(engine.calls) == 1


@pytest.mark.parametrize("prices", [PAID, None], ids=["paid", "price not known"])
async def test_an_engine_whose_calls_cost_money_speaks_no_sample(samples, engine, prices):
    paid(engine, None, prices)
    with pytest.raises(NotFound) as caught:
        await samples.sample("fake:ana-es", "")
    assert caught.value.reason == "no_sample"
    assert engine.calls == []
    assert await samples.engines() == set()


async def test_of_a_vendor_with_recordings_the_address_is_given_and_kept_for_an_hour(samples, engine, now):
    paid(engine, RECORDING)
    assert [await samples.sample("fake:ana-es", "") for _ in range(2)] == [RECORDING] * 2
    assert engine.recordings_asked == 1
    now[0] = 3_601.0
    assert await samples.sample("fake:ana-es", "") == RECORDING
    assert engine.recordings_asked == 2
    assert engine.calls == []
    assert await samples.engines() == {"fake"}


@pytest.mark.parametrize("recording", ["", "http://vendor.example/a.mp3", "javascript:alert(1)", "//vendor.example/a"])
async def test_an_address_that_is_none_of_https_is_no_sample(samples, engine, recording):
    paid(engine, recording)
    with pytest.raises(NotFound) as caught:
        await samples.sample("fake:ana-es", "")
    assert caught.value.reason == "no_sample"


async def test_a_voice_that_does_not_exist_is_not_found(samples):
    with pytest.raises(NotFound) as caught:
        await samples.sample("fake:nobody", "")
    assert caught.value.reason == "unknown_voice"


async def test_a_voice_has_no_sample_in_a_language_that_it_does_not_speak(samples, engine):
    with pytest.raises(InvalidInput) as caught:
        await samples.sample("fake:ana-es", "en")
    assert caught.value.reason == "voice_language_mismatch"
    assert engine.calls == []


def test_every_language_of_the_natural_voices_has_a_sentence_of_its_own():
    languages = {voice.language for voice in VOICES}
    assert len({sentence(language) for language in languages}) == len(languages) - 1, "two regions of English"
    assert sentence("en-GB") == sentence("en-US")
    assert sentence("tlh") == sentence("und")


def test_the_sentences_are_short_and_their_languages_are_tags():
    sentences = _sentences()
    assert all(normalise(tag) == tag for tag in sentences)
    assert all(10 < len(text) < 100 for text in sentences.values())
