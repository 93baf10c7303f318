"""The gain of the voice."""

from __future__ import annotations

import numpy as np
import pytest

from services.mixer.mixing.loudness import SILENT
from services.mixer.mixing.passes import HIGHEST_DB, LOWEST_DB, Parts

HOPS = 200


def parts(background: float, voice: float) -> Parts:
    speaking = np.zeros(HOPS)
    speaking[50:150] = voice
    return Parts(np.full(HOPS, background), speaking, peak=0.5)


@pytest.mark.parametrize("target", [-26.0, -20.0, -14.0])
def test_the_voice_brings_the_mix_to_the_requested_loudness(target):
    found = parts(1e-4, 1e-2)
    gain = found.solve(target)
    assert found.loudness(10 ** (gain / 20)) == pytest.approx(target, abs=0.01)


def test_a_mix_that_is_too_loud_without_a_voice_gets_the_lowest_gain():
    assert parts(1.0, 1e-2).solve(-30.0) == pytest.approx(LOWEST_DB, abs=0.01)


def test_a_voice_that_is_nearly_silent_gets_no_more_than_the_highest_gain():
    assert parts(1e-9, 1e-9).solve(-10.0) == pytest.approx(HIGHEST_DB, abs=0.01)


def test_without_a_voice_there_is_nothing_to_solve():
    assert parts(1e-3, 0.0).solve(-20.0) == 0.0


def test_a_silent_source_is_no_target():
    assert parts(1e-9, 1e-2).solve(SILENT) == 0.0
