"""The sound under the dub, with and without a separated background."""

from __future__ import annotations

import io

import numpy as np
import pytest

from services.mixer.mixing.blocks import BLOCK, RATE, Samples
from services.mixer.mixing.ducking import ATTACK, RELEASE, Fader
from services.mixer.mixing.levels import LevelMeter, Levels
from services.mixer.mixing.loudness import HopMeter, integrated
from services.mixer.mixing.plan import Range
from services.mixer.mixing.under import Separated, separated_levels

RANGES = [Range(1_000, 2_500), Range(4_000, 5_000)]
SECONDS = 7


def noise(seed: int, level: float) -> Samples:
    sound = np.random.default_rng(seed).standard_normal((SECONDS * RATE, 2)) * level
    return sound.astype(np.float32)


def under(programme: Samples, background: Samples, gain_db: float, block: int = BLOCK) -> Samples:
    pipes = io.BytesIO(programme.tobytes()), io.BytesIO(background.tobytes())
    sound, total = Separated(pipes[0], pipes[1], Fader(RANGES), gain_db), len(programme)
    return np.concatenate([sound.read(begin, min(begin + block, total)) for begin in range(0, total, block)])


def levels(sound: Samples) -> Levels:
    meter = LevelMeter(2)
    for begin in range(0, len(sound), BLOCK):
        meter.add(sound[begin : begin + BLOCK])
    return meter.levels()


def test_the_programme_sounds_between_the_lines_and_the_background_alone_under_them():
    programme, background = noise(1, 0.2), noise(2, 0.1)
    found = under(programme, background, -6.0)
    assert np.allclose(found[RATE : RATE * 5 // 2], background[RATE : RATE * 5 // 2] * 10 ** (-6 / 20))
    assert np.array_equal(found[: RATE - ATTACK], programme[: RATE - ATTACK])
    between = slice(RATE * 5 // 2 + RELEASE, 4 * RATE - ATTACK)
    assert np.array_equal(found[between], programme[between])


def test_what_both_have_keeps_its_level_while_one_fades_into_the_other():
    music = noise(3, 0.2)
    assert np.allclose(under(music, music, 0.0), music, atol=1e-6)


def test_the_size_of_the_blocks_does_not_matter():
    programme, background = noise(1, 0.2), noise(2, 0.1)
    assert np.array_equal(under(programme, background, -3.0, 960), under(programme, background, -3.0))


@pytest.mark.parametrize("gain_db", [0.0, -6.0])
def test_the_levels_foretell_the_loudness(gain_db):
    music = noise(3, 0.05)
    programme = music + noise(4, 0.2)
    found, meter = under(programme, music, gain_db), HopMeter(2)
    for begin in range(0, len(found), BLOCK):
        meter.add(found[begin : begin + BLOCK])
    foretold = separated_levels(levels(programme), levels(music), Fader(RANGES), gain_db, len(found))
    assert integrated(foretold.hops()) == pytest.approx(integrated(meter.energies()), abs=0.05)
    assert foretold.peaks.max() >= np.abs(found).max() * 0.999
