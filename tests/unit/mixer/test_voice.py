"""The voice on the timeline."""

from __future__ import annotations

import os

import numpy as np
import pytest

from services.mixer.mixing.voice import Placed, Voice


@pytest.fixture
def scratch(tmp_path):
    descriptor = os.open(tmp_path / "scratch", os.O_RDWR | os.O_CREAT)
    os.pwrite(descriptor, np.arange(1, 101, dtype=np.float32).tobytes(), 0)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("block", [1, 7, 64, 200])
def test_clips_are_summed_where_they_lie(scratch, block):
    clips = [Placed(start=90, length=10, offset=50), Placed(start=5, length=20, offset=0), Placed(10, 3, 80)]
    voice, found = Voice(scratch, clips), np.zeros(200, dtype=np.float32)
    for begin in range(0, 200, block):
        part = voice.read(begin, min(200, begin + block))
        if part is not None:
            found[begin : begin + block] = part
    wanted = np.zeros(200, dtype=np.float32)
    wanted[5:25] += np.arange(1, 21)
    wanted[10:13] += np.arange(81, 84)
    wanted[90:100] += np.arange(51, 61)
    assert np.array_equal(found, wanted)


def test_without_speech_there_is_nothing_to_add(scratch):
    voice = Voice(scratch, [Placed(start=100, length=5, offset=0)])
    assert voice.read(0, 100) is None
    assert voice.read(100, 200) is not None
    assert voice.read(200, 300) is None
