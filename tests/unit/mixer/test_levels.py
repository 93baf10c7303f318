"""Levels in steps of 10 ms foretell the loudness of a mix."""

from __future__ import annotations

import numpy as np
import pytest

from services.mixer.mixing.blocks import BLOCK, RATE, Samples
from services.mixer.mixing.ducking import Ducker
from services.mixer.mixing.levels import LevelMeter, Levels, levels_of_clip
from services.mixer.mixing.loudness import HopMeter, KFilter, integrated
from services.mixer.mixing.passes import measure
from services.mixer.mixing.plan import Range
from services.mixer.mixing.under import ducked_levels
from services.mixer.mixing.voice import Placed

SECONDS = 30


def speech(seconds: float, seed: int, channels: int = 1) -> Samples:
    """Noise in syllables, with pauses of digital silence."""
    at = np.arange(int(seconds * RATE))
    noise = np.random.default_rng(seed).standard_normal((len(at), channels)).cumsum(axis=0)
    noise = 20 * np.diff(noise, axis=0, prepend=0) * 0.01
    loud = np.maximum(0, np.sin(2 * np.pi * 3 * at / RATE))
    return (noise * loud[:, None]).astype(np.float32)


def blocks(samples: Samples) -> list[Samples]:
    return [samples[begin : begin + BLOCK] for begin in range(0, len(samples), BLOCK)]


def levels(samples: Samples) -> Levels:
    meter = LevelMeter(samples.shape[1])
    for block in blocks(samples):
        meter.add(block)
    return meter.levels()


@pytest.mark.parametrize("duck_db", [0.0, -22.0])
@pytest.mark.parametrize("voice_gain", [0.3, 1.0, 4.0])
def test_the_loudness_is_that_of_the_whole_mix_within_a_twentieth_of_a_unit(duck_db, voice_gain):
    background, total = speech(SECONDS, 1, channels=2), SECONDS * RATE
    ranges = [Range(start, start + 1703) for start in range(507, SECONDS * 1000 - 2000, 2509)]
    spoken, clips = np.zeros((total, 1), dtype=np.float32), []
    for number, part in enumerate(ranges):
        start, clip = part.start_ms * RATE // 1000, speech(1.7, 10 + number)
        spoken[start : start + len(clip)] = clip
        clips.append(Placed(start, len(clip), 0, levels_of_clip(clip[:, 0], start)))
    ducker, meter = Ducker(ranges, duck_db), HopMeter(2)
    for begin, block in zip(range(0, total, BLOCK), blocks(background), strict=True):
        meter.add(ducker.apply(begin, block) + np.float32(voice_gain) * spoken[begin : begin + BLOCK])
    under = ducked_levels(levels(background), Ducker(ranges, duck_db), total)
    parts = measure(under, clips, total)
    assert parts.loudness(voice_gain) == pytest.approx(integrated(meter.energies()), abs=0.05)
    assert parts.peak >= np.abs(background).max() - 1e-6


def test_levels_are_stored_as_they_are():
    measured = levels(speech(2, 3, channels=2))
    again = Levels.unpack(measured.pack())
    assert np.array_equal(again.energies, measured.energies)
    assert np.array_equal(again.peaks, measured.peaks)


def test_a_background_that_is_shorter_or_longer_than_the_mix_counts_as_far_as_both_go():
    sound, total = levels(speech(3, 4, channels=2)), 2 * RATE
    longer, shorter = (measure(ducked_levels(sound, Ducker([], 0), length), [], length) for length in (total, 5 * RATE))
    assert np.array_equal(longer.background, sound.hops()[:20])
    assert np.array_equal(shorter.background, np.pad(sound.hops(), (0, 20)))


def test_digital_silence_never_makes_the_filter_slow_with_denormal_numbers():
    weighting, sound = KFilter(1), np.pad(speech(1, 5), ((0, 9 * RATE), (0, 0)))
    numbers = np.abs(np.concatenate([weighting.apply(block) for block in blocks(sound)], axis=1))
    assert not np.any((numbers > 0) & (numbers < np.finfo(np.float32).tiny))
    assert numbers[0, 2 * RATE :].max() < 1e-9
