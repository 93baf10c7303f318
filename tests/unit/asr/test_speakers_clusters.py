"""The grouping of vectors by voice, on vectors made for the purpose."""

from __future__ import annotations

import numpy as np
import pytest

from services.asr.engines import speakers_clusters
from services.asr.engines.speakers_clusters import Rules, decide, unit, voices

RULES = Rules()


def voice(number: int, windows: int, noise: float = 0.03, seed: int = 0) -> speakers_clusters.Floats:
    """Vectors of one voice: near an axis of its own, with noise."""
    random = np.random.default_rng([seed, number])
    around = random.standard_normal((windows, 256)) * noise
    around[:, number] += 1
    return unit(around.astype(np.float32))


def test_voices_are_found_with_their_number():
    regions = [voice(number, 40, seed=seed) for seed in range(3) for number in (0, 1, 2)]
    found = voices(regions, RULES)
    assert sorted(int(row.argmax()) for row in found) == [0, 1, 2]


def test_one_voice_stays_one_where_its_vectors_are_noisy():
    assert len(voices([voice(0, 60, noise=0.07, seed=seed) for seed in range(4)], RULES)) == 1


def test_a_short_noise_is_no_voice():
    assert len(voices([voice(0, 60), voice(1, 4), voice(0, 60, seed=1)], RULES)) == 1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_given_number_is_kept_whatever_the_vectors_are_like(count):
    regions = [voice(number, 40, seed=seed) for seed in range(3) for number in (0, 1, 2)]
    assert len(voices(regions, RULES, count)) == count


def test_recordings_of_one_voice_that_repeat_stay_one_voice():
    takes = [unit(voice(0, 20, noise=0.045, seed=seed)) for seed in range(4)]
    offsets = [unit(voice(10 + number, 1, noise=0.0)) * 0.5 for number in range(4)]
    regions = [unit(take + offset) for take, offset in zip(takes, offsets, strict=True)] * 8
    assert len(voices(regions, RULES)) == 1


def test_a_given_number_is_not_spent_on_a_noise():
    regions = [voice(0, 60), voice(3, 4), voice(1, 60)]
    assert sorted(int(row.argmax()) for row in voices(regions, RULES, 2)) == [0, 1]


def test_more_voices_than_there_are_pieces_are_not_found():
    assert len(voices([voice(0, 1)], RULES, 4)) == 1


def test_the_voice_is_decided_over_time():
    regions = [np.concatenate([voice(0, 20), voice(1, 20)]), voice(1, 1), voice(0, 5)]
    found = voices([voice(0, 40), voice(1, 40)], RULES)
    zero = int(found[0].argmax() != 0)
    first, second, third = (list(labels) for labels in decide(regions, found, RULES))
    assert first == [zero] * 20 + [1 - zero] * 20
    assert second == [1 - zero]
    assert third == [zero] * 5


def test_a_single_window_within_speech_does_not_change_the_voice():
    region = np.concatenate([voice(0, 10), voice(1, 1), voice(0, 10)])
    found = voices([voice(0, 40), voice(1, 40)], RULES)
    assert len(set(decide([region], found, RULES)[0])) == 1
