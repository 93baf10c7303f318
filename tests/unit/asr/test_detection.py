"""The use case behind DetectSpeech, with the real detector on real sound."""

from __future__ import annotations

import numpy as np
import pytest

from onevoice_kit.errors import InvalidInput, PreconditionFailed
from services.asr.audio_cache import AudioCache
from services.asr.detection import SpeechDetection
from services.asr.engines.silero import Silero
from tests.unit.asr import samples
from tests.unit.asr.fakes import REF, any_storage, registry_of

PAUSE_S = 1.2
ONSETS_S = {"0870": 0.24, "0880": 0.26, "0890": 0.28, "0920": 0.28, "0930": 0.28}
"""Onset of each recording's first word, 8 to 12 dB above its noise, seconds."""


@pytest.fixture
def detect(tmp_path):
    async def run(sound, *, max_chunk_ms=0, max_audio_ms=600_000, suffix="flac", report=lambda fraction: None):
        path = samples.write(tmp_path / f"a.{suffix}", sound)
        use_case = SpeechDetection(
            AudioCache(any_storage(path)), registry_of(Silero()), chunk_ms=15_000, max_audio_ms=max_audio_ms
        )
        return await use_case.detect(REF, max_chunk_ms, report)

    return run


@pytest.mark.parametrize("suffix", ["wav", "flac"])
async def test_every_sentence_is_found_at_its_onset(detect, suffix):
    found = await detect(samples.reading(*samples.NAMES, pause_s=PAUSE_S), suffix=suffix)
    regions = [region for chunk in found.chunks for region in chunk]
    position, expected = PAUSE_S, []
    for name in samples.NAMES:
        expected.append(position + ONSETS_S[name[-4:]])
        position += samples.speech(name).size / samples.RATE + PAUSE_S
    onsets = [region.start_ms / 1000 for region in regions]
    assert len(onsets) == len(expected)
    errors = np.abs(np.array(onsets) - expected)
    assert np.median(errors) <= 0.05
    assert errors.max() <= 0.08


async def test_the_length_and_the_detector_are_reported(detect):
    found = await detect(samples.reading(samples.NAMES[1]))
    assert found.duration_ms == pytest.approx(2990 + 2400, abs=1)
    assert found.detector.name == "silero"


@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(samples.silence(5), id="silence"),
        pytest.param(samples.silence(0.01), id="almost nothing"),
        pytest.param(np.zeros(0), id="nothing"),
        pytest.param(samples.music(30), id="music only"),
        pytest.param(samples.noise(5), id="noise"),
    ],
)
async def test_without_speech_the_result_is_empty(detect, sound):
    with pytest.raises(PreconditionFailed) as caught:
        await detect(sound, suffix="wav")
    assert caught.value.reason == "no_speech"


async def test_chunks_keep_to_the_requested_length(detect):
    found = await detect(samples.reading(*samples.NAMES), max_chunk_ms=2000)
    assert all(chunk[-1].end_ms - chunk[0].start_ms <= 2000 for chunk in found.chunks)


@pytest.mark.parametrize("max_chunk_ms", [-1, 999, 60_001])
async def test_an_impossible_chunk_length_is_refused(detect, max_chunk_ms):
    with pytest.raises(InvalidInput) as caught:
        await detect(samples.silence(1), max_chunk_ms=max_chunk_ms)
    assert caught.value.reason == "invalid_max_chunk"


async def test_too_long_an_audio_is_refused(detect):
    with pytest.raises(InvalidInput) as caught:
        await detect(samples.silence(61), max_audio_ms=60_000)
    assert caught.value.reason == "audio_too_long"


async def test_progress_grows_to_one(detect):
    fractions: list[float] = []
    await detect(samples.reading(*samples.NAMES, *samples.NAMES), report=fractions.append)
    assert fractions == sorted(fractions)
    assert len(fractions) >= 2
    assert fractions[-1] == pytest.approx(1.0)
