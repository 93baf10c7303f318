"""The contract of engines that find words and speakers of a whole audio in one call."""

from __future__ import annotations

from itertools import pairwise

import pytest

from onevoice_kit.errors import InvalidInput, NotFound, OneVoiceError
from services.asr.audio import AudioFile
from tests.unit.asr import samples

KIND = "conversation"


async def test_it_declares_the_longest_audio_that_it_takes(engine):
    capabilities = await engine.describe()
    assert capabilities.max_audio_ms >= 4 * 3_600_000
    assert capabilities.serves("en-US")


async def test_words_are_in_time_order_within_the_audio_with_a_probability_and_a_speaker(engine, audio):
    found = await engine.recognise(audio, "en", 0)
    words = [one.word for one in found.words]
    assert words
    assert all(0 <= word.start_ms < word.end_ms <= found.heard_ms + 500 for word in words)
    assert all(left.start_ms <= right.start_ms for left, right in pairwise(words))
    assert all(0 <= word.confidence <= 1 and word.text == word.text.strip() != "" for word in words)
    assert all(one.speaker for one in found.words)


async def test_the_whole_audio_is_what_is_paid_for(engine, audio):
    with AudioFile(audio) as file:
        assert (await engine.recognise(audio, "en", 0)).heard_ms == file.size_ms


async def test_a_wav_file_gives_the_same_as_a_flac_file(engine, audio, tmp_path):
    wav = samples.write(tmp_path / "speech.wav", samples.reading(samples.NAMES[1]))
    assert await engine.recognise(wav, "en", 0) == await engine.recognise(audio, "en", 0)


async def test_a_number_of_speakers_may_be_given(engine, audio):
    assert (await engine.recognise(audio, "en", 2)).words


@pytest.mark.parametrize("content", [b"", b"this is no audio"])
async def test_what_is_no_audio_is_the_callers_fault(engine, tmp_path, content):
    path = tmp_path / "text.wav"
    path.write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        await engine.recognise(path, "en", 0)
    assert caught.value.reason == "invalid_audio"


async def test_after_an_error_it_still_works(engine, audio, tmp_path):
    with pytest.raises(OneVoiceError) as caught:
        await engine.recognise(tmp_path / "gone.wav", "en", 0)
    assert isinstance(caught.value, NotFound)
    assert (await engine.recognise(audio, "en", 0)).words
