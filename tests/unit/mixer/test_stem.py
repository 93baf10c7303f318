"""The voice stem at its lower rate."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from services.mixer.mixing.stem import StemWriter

RATE = 48_000


def stem(path: Path, samples: np.ndarray, block: int) -> np.ndarray:
    """The samples of the file that is written of these, −1 to 1."""
    with StemWriter(path) as writer:
        for begin in range(0, len(samples), block):
            writer.write(samples[begin : begin + block].astype(np.float32))
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2") / 32768


def tone(frequency: float, seconds: float = 1.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)


@pytest.mark.parametrize("block", [30, 100, 4800, 96_000])
def test_each_sample_keeps_its_place_and_level_whatever_the_blocks(tmp_path, block):
    spoken = np.concatenate([np.zeros(9600), tone(3000, 0.5), np.zeros(9600)])
    written = stem(tmp_path / "stem.wav", spoken, block)
    assert len(written) == len(spoken) // 3
    # 5 ms away from the jumps of the tone, in which the filter rings.
    assert np.abs(written - spoken[::3])[3280:-3280].max() < 1e-3
    assert np.abs(written[:3120]).max() < 1e-3
    assert np.array_equal(written, stem(tmp_path / "whole.wav", spoken, len(spoken)))


@pytest.mark.parametrize(("frequency", "gain_db"), [(100, 0), (6000, 0), (8600, -70), (15_000, -70)])
def test_notes_that_the_lower_rate_cannot_hold_are_left_out(tmp_path, frequency, gain_db):
    written = stem(tmp_path / "stem.wav", tone(frequency), 96_000)[100:-100]
    gain = 20 * np.log10(max(np.sqrt(2 * (written**2).mean()) / 0.5, 1e-9))
    assert gain == pytest.approx(0, abs=0.05) if gain_db == 0 else gain < gain_db + 10


def test_the_loudest_samples_are_clipped_and_do_not_wrap(tmp_path):
    assert np.abs(np.diff(stem(tmp_path / "stem.wav", 4 * tone(50), 96_000))).max() < 0.1


def test_without_a_path_nothing_is_written(tmp_path):
    with StemWriter(None) as writer:
        writer.write(np.ones(48_000, dtype=np.float32))
    assert list(tmp_path.iterdir()) == []
