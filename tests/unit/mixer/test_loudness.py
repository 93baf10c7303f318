"""Loudness by BS.1770: the signals of EBU Tech 3341, whose readings are prescribed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from services.mixer.mixing.loudness import HOP, SILENT, HopMeter, integrated, loudness

RATE = 48_000


def tone(seconds: float, dbfs: float, hertz: float = 1000.0) -> np.ndarray:
    wave = 10 ** (dbfs / 20) * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)
    return np.column_stack([wave, wave]).astype(np.float32)


def read(samples: np.ndarray, block: int = 10 * HOP) -> float:
    meter = HopMeter(channels=samples.shape[1])
    for begin in range(0, len(samples), block):
        meter.add(samples[begin : begin + block])
    return integrated(meter.energies())


@pytest.mark.parametrize("dbfs", [-23.0, -33.0])
def test_a_stereo_tone_reads_its_level(dbfs):
    assert read(tone(20, dbfs)) == pytest.approx(dbfs, abs=0.1)


def test_quiet_passages_do_not_count():
    # Cases 3 and 4: what is 10 LU under the rest, or under -70, is gated out.
    passages = [tone(10, -72), tone(10, -36), tone(60, -23), tone(10, -36), tone(10, -72)]
    assert read(np.concatenate(passages)) == pytest.approx(-23.0, abs=0.1)


def test_levels_within_the_gate_are_averaged_by_power():
    # Case 5.
    passages = [tone(20, -26), tone(20.1, -20), tone(20, -26)]
    assert read(np.concatenate(passages)) == pytest.approx(-23.0, abs=0.1)


def test_silence_reads_the_floor():
    assert read(np.zeros((RATE, 2), dtype=np.float32)) == SILENT


def test_less_than_one_block_reads_the_floor():
    assert read(tone(0.3, -20)) == SILENT


def test_the_size_of_the_blocks_does_not_matter():
    noise = np.random.default_rng(7).standard_normal((6 * RATE, 2)).astype(np.float32) * 0.1
    assert read(noise, HOP) == pytest.approx(read(noise, 20 * HOP), abs=1e-4)


def test_single_precision_is_good_to_a_thousandth_of_a_unit():
    noise = np.random.default_rng(3).standard_normal((30 * RATE, 2)).cumsum(axis=0)
    noise = (0.2 * noise / np.abs(noise).max()).astype(np.float32)
    head = [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585]
    low_cut = [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621]
    weighted = signal.sosfilt(np.array([head, low_cut]), noise.astype(np.float64), axis=0)
    hops = (weighted**2).sum(axis=1).reshape(-1, HOP).mean(axis=1)
    assert read(noise) == pytest.approx(integrated(hops), abs=1e-3)


def test_a_power_of_one_is_just_under_full_scale():
    assert loudness(1.0) == pytest.approx(-0.691)
