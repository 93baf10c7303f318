"""True peak by BS.1770 annex 2, and the limiter that keeps it under a ceiling."""

from __future__ import annotations

import numpy as np
import pytest

from services.mixer.mixing.limiter import DELAY, Limiter
from services.mixer.mixing.truepeak import PeakMeter

RATE = 48_000


def stereo(wave: np.ndarray) -> np.ndarray:
    return np.column_stack([wave, 0.5 * wave]).astype(np.float32)


def dbtp(samples: np.ndarray, block: int = 9600) -> float:
    meter = PeakMeter()
    for begin in range(0, len(samples), block):
        meter.add(samples[begin : begin + block])
    return meter.dbtp


def limit(samples: np.ndarray, ceiling: float, block: int = 9600) -> np.ndarray:
    limiter = Limiter(ceiling)
    ready = [limiter.push(samples[begin : begin + block]) for begin in range(0, len(samples), block)]
    return np.concatenate([*ready, limiter.finish()])


def test_a_peak_between_samples_is_seen():
    # A quarter of the rate at 45 degrees: every sample lies 3 dB under the crest of the wave.
    wave = 0.5 * np.sin(2 * np.pi * 12_000 * np.arange(RATE) / RATE + np.pi / 4)
    assert 20 * np.log10(np.abs(wave).max()) == pytest.approx(-9.03, abs=0.01)
    # EBU Tech 3341 allows +0.2 and -0.4 dB. The sudden start adds a crest of its own; it is faded in here.
    wave[:4800] *= np.linspace(0, 1, 4800)
    assert -6.4 <= dbtp(stereo(wave)) <= -5.8


def test_a_slow_tone_reads_its_amplitude():
    wave = 0.25 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)
    assert dbtp(stereo(wave)) == pytest.approx(-12.04, abs=0.05)


def test_a_peak_across_two_blocks_is_seen():
    wave = np.zeros(9600)
    wave[4795:4805] = 0.6 * np.array([1, 1, -1, -1, 1, 1, -1, -1, 1, 1])
    assert dbtp(stereo(wave), 4800) == pytest.approx(dbtp(stereo(wave), 9600), abs=1e-6)


def test_silence_has_a_floor():
    assert dbtp(np.zeros((4800, 2), dtype=np.float32)) == -100.0


@pytest.mark.parametrize("block", [1000, 4800, 96_000])
def test_the_limiter_holds_the_ceiling(block):
    noise = np.random.default_rng(5).standard_normal(2 * RATE) * 0.4
    limited = limit(stereo(noise), 10 ** (-1.5 / 20), block)
    assert len(limited) == len(noise)
    assert dbtp(limited) <= -1.45


def test_the_limiter_gives_the_same_for_any_blocks():
    noise = stereo(np.random.default_rng(5).standard_normal(RATE) * 0.5)
    assert np.allclose(limit(noise, 0.8, 480), limit(noise, 0.8, 48_000), atol=1e-5)


def test_what_is_far_from_a_peak_passes_bit_by_bit():
    wave = 0.2 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    wave[RATE] = 1.2
    samples = stereo(wave)
    limited = limit(samples, 0.8, 9600)
    far = np.abs(np.arange(2 * RATE) - RATE) > 2 * DELAY
    # Blocks beside the peak are multiplied by a gain of one that single precision gives to seven digits.
    assert np.allclose(limited[far], samples[far], atol=1e-6)
    assert np.array_equal(limited[: RATE // 2], samples[: RATE // 2])
    assert np.abs(limited).max() <= 0.8


def test_quiet_sound_passes_unchanged_and_is_reported_so():
    limiter = Limiter(0.8)
    samples = stereo(0.1 * np.ones(9600))
    passed = np.concatenate([limiter.push(samples), limiter.finish()])
    assert np.array_equal(passed, samples)
    assert not limiter.reduced
