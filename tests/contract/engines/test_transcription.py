"""The contract of transcription engines."""

from __future__ import annotations

from contextlib import aclosing
from itertools import pairwise

import pytest

from onevoice_kit.errors import InvalidInput, NotFound, OneVoiceError
from services.asr.engines.base import TimeRange

# The engines keep processes; one worker of the test run keeps them all, so that they do not fight for memory.
pytestmark = pytest.mark.xdist_group("asr-engines")

KIND = "transcription"
SENTENCE = TimeRange(1400, 4100)
SILENCE = TimeRange(4400, 5300)


async def collect(engine, audio, regions):
    return [utterance async for utterance in engine.transcribe(audio, regions, "en")]


async def test_it_declares_its_name_and_model(engine):
    capabilities = await engine.describe()
    assert capabilities.info.name
    assert capabilities.info.version
    assert capabilities.serves("en-US")
    assert 1_000 <= capabilities.max_chunk_ms <= 60_000
    assert capabilities.available


async def test_each_region_has_one_utterance_in_time_order(engine, audio):
    regions = [TimeRange(1400, 2400), TimeRange(2400, 4100), SILENCE]
    utterances = await collect(engine, audio, regions)
    assert [utterance.range for utterance in utterances] == regions


async def test_words_are_in_order_within_their_region_with_a_probability(engine, audio):
    (utterance,) = await collect(engine, audio, [SENTENCE])
    assert utterance.words
    assert all(SENTENCE.start_ms <= word.start_ms < word.end_ms <= SENTENCE.end_ms for word in utterance.words)
    assert all(left.end_ms <= right.start_ms for left, right in pairwise(utterance.words))
    assert all(0 <= word.confidence <= 1 for word in utterance.words)
    assert all(word.text == word.text.strip() != "" for word in utterance.words)


async def test_the_same_region_gives_the_same_words_whatever_came_before(engine, audio):
    first = await collect(engine, audio, [SENTENCE])
    await collect(engine, audio, [TimeRange(1400, 2400), SILENCE])
    assert await collect(engine, audio, [SENTENCE]) == first


async def test_a_region_too_short_to_hold_a_word_is_no_error(engine, audio):
    (utterance,) = await collect(engine, audio, [TimeRange(0, 5)])
    assert utterance.range == TimeRange(0, 5)


async def test_it_can_be_closed_after_the_first_utterance_and_used_again(engine, audio):
    regions = [SENTENCE, SILENCE]
    async with aclosing(engine.transcribe(audio, regions, "en")) as stream:
        first = await anext(stream)
    assert first.range == SENTENCE
    assert len(await collect(engine, audio, regions)) == 2


@pytest.mark.parametrize("content", [b"", b"this is no audio"])
async def test_what_is_no_audio_is_the_callers_fault(engine, tmp_path, content):
    path = tmp_path / "text.wav"
    path.write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        await collect(engine, path, [SENTENCE])
    assert caught.value.reason == "invalid_audio"


async def test_audio_that_has_gone_is_not_found(engine, tmp_path):
    with pytest.raises(NotFound):
        await collect(engine, tmp_path / "gone.wav", [SENTENCE])


async def test_after_an_error_it_still_works(engine, audio, tmp_path):
    with pytest.raises(OneVoiceError):
        await collect(engine, tmp_path / "gone.wav", [SENTENCE])
    assert len(await collect(engine, audio, [SENTENCE])) == 1
