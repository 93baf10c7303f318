"""The background under the voice."""

from __future__ import annotations

import numpy as np
import pytest

from services.mixer.mixing.ducking import ATTACK, RELEASE, Ducker, joined
from services.mixer.mixing.plan import Range

RATE = 48_000


def gains(ranges: list[Range], gain_db: float, seconds: float, block: int = 9600) -> np.ndarray:
    ducker, total = Ducker(ranges, gain_db), int(seconds * RATE)
    ones = np.ones((total, 2), dtype=np.float32)
    parts = [ducker.apply(begin, ones[begin : begin + block]) for begin in range(0, total, block)]
    return np.concatenate(parts)[:, 0]


def test_the_gain_is_reached_at_the_first_sample_and_held_to_the_last():
    found = gains([Range(1000, 2000)], -20, 3)
    assert np.allclose(found[RATE : 2 * RATE], 0.1)


def test_samples_outside_pass_bit_by_bit():
    ducker = Ducker([Range(1000, 2000)], -20)
    noise = np.random.default_rng(1).standard_normal((3 * RATE, 2)).astype(np.float32)
    ducked = ducker.apply(0, noise)
    assert np.array_equal(ducked[: RATE - ATTACK], noise[: RATE - ATTACK])
    assert np.array_equal(ducked[2 * RATE + RELEASE :], noise[2 * RATE + RELEASE :])


def test_the_gain_never_jumps():
    found = gains([Range(1000, 2000), Range(2500, 2600)], -40, 4)
    steps = np.abs(np.diff(20 * np.log10(found)))
    assert steps.max() < 0.03
    assert found.max() == 1.0


def test_ranges_whose_ramps_would_meet_are_one():
    assert joined([Range(500, 900), Range(0, 400), Range(300, 450), Range(2000, 2100)]) == [
        (0, 900 * 48),
        (2000 * 48, 2100 * 48),
    ]


def test_empty_ranges_are_none():
    assert joined([Range(100, 100)]) == []


@pytest.mark.parametrize("block", [960, 4800, 96_000])
def test_the_size_of_the_blocks_does_not_matter(block):
    ranges = [Range(10, 300), Range(650, 700), Range(1500, 1999)]
    assert np.array_equal(gains(ranges, -12, 2, block), gains(ranges, -12, 2, 2 * RATE))


def test_no_gain_means_no_change():
    assert np.array_equal(gains([Range(0, 1000)], 0.0, 1), np.ones(RATE, dtype=np.float32))
