"""The contract of engines that detect speech."""

from __future__ import annotations

import numpy as np

from services.asr.audio import AudioFile
from services.asr.engines.base import FRAME_MS, FRAME_SAMPLES
from tests.unit.asr import samples

KIND = "detection"


def scan(engine, audio, block: int = 40 * FRAME_SAMPLES) -> np.ndarray:
    one = engine.scan()
    with AudioFile(audio) as file:
        return np.concatenate([one.feed(samples) for samples in file.blocks(block)])


async def test_every_frame_has_a_probability(engine, audio):
    probabilities = scan(engine, audio)
    with AudioFile(audio) as file:
        assert len(probabilities) == -(-file.block(1 << 30).size // FRAME_SAMPLES)
    assert probabilities.min() >= 0
    assert probabilities.max() <= 1


async def test_speech_differs_from_the_pauses_around_it(engine, audio):
    probabilities = scan(engine, audio)
    before, speech, after = np.split(probabilities, [1_200 // FRAME_MS, 4_200 // FRAME_MS])
    assert np.median(speech) > 0.7
    assert np.median(before) < 0.3
    assert np.median(after) < 0.3


async def test_the_result_does_not_depend_on_the_size_of_the_blocks(engine, audio):
    assert np.allclose(scan(engine, audio), scan(engine, audio, 3 * FRAME_SAMPLES), atol=0.02)


async def test_scans_at_the_same_time_do_not_disturb_each_other(engine, audio, tmp_path):
    other = samples.write(tmp_path / "noise.wav", samples.noise(5))
    expected = scan(engine, audio), scan(engine, other)
    one, two = engine.scan(), engine.scan()
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    with AudioFile(audio) as speech, AudioFile(other) as noise:
        for left, right in zip(speech.blocks(FRAME_SAMPLES * 40), noise.blocks(FRAME_SAMPLES * 40), strict=False):
            found[0].append(one.feed(left))
            found[1].append(two.feed(right))
    for got, alone in zip(found, expected, strict=True):
        together = np.concatenate(got)
        assert np.allclose(together, alone[: len(together)], atol=1e-6)


async def test_no_samples_have_no_frames(engine):
    assert engine.scan().feed(np.zeros(0, np.int16)).size == 0
