"""Programmes in pieces: every sample once, without a seam, whatever the length."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from services.asr.engines import separation_pieces
from services.asr.engines.base import Stems
from services.asr.engines.separation_pieces import FADE, NICENESS, Cutting, Piece, Processes, compute, give_way, pieces
from services.asr.stereo import RATE, Programme, StemFiles
from tests.unit.asr import samples

CUTTING = Cutting(length=RATE, before=RATE // 4, after=1_000)


def joined(folder: Path, sound: np.ndarray, voice_of) -> tuple[np.ndarray, np.ndarray]:
    """The stems of a sound by a model that gives `voice_of(sound)`."""
    path = samples.write(folder / "programme.flac", sound, RATE)
    stems = Stems(folder / "background.flac", folder / "voice.flac")
    with Programme(path) as programme, StemFiles(stems.background, stems.voice) as files:
        joiner = separation_pieces._Joiner(programme, files)
        for piece in pieces(path, programme.size, CUTTING, folder):
            compute(piece, voice_of)
            joiner.add(piece)
        joiner.finish()
    assert sorted(one.name for one in folder.iterdir()) == ["background.flac", "programme.flac", "voice.flac"]
    return soundfile.read(stems.background)[0], soundfile.read(stems.voice)[0]


@pytest.mark.parametrize("size", [1, FADE, RATE - 1, RATE, RATE + 1, 3 * RATE + RATE // 3])
def test_every_sample_is_in_one_piece(size):
    cut = pieces(Path("a.flac"), size, CUTTING, Path())
    assert (cut[0].begin, cut[-1].end) == (0, size)
    assert all(left.end == right.begin for left, right in pairwise(cut))
    assert all(piece.end - piece.begin >= CUTTING.before for piece in cut[1:])


@pytest.mark.parametrize("size", [1, FADE - 1, FADE, 2 * RATE + 1, 3 * RATE + RATE // 3])
def test_the_stems_have_the_length_of_the_programme_and_no_seam(tmp_path, size):
    sound = np.random.default_rng(1).uniform(-0.5, 0.5, (size, 2))
    background, voice = joined(tmp_path, sound, lambda heard: heard * np.float32(0.5))
    assert background.shape == (size, 2)
    assert len(voice) == -(-size // 3)
    assert np.abs(background - sound / 2).max() < 1e-4


def niceness(piece: Piece) -> None:
    """A work whose voice is the niceness of its process."""
    compute(piece, lambda heard: np.full_like(heard, os.nice(0) / 100))


async def test_the_processes_let_recognition_go_first(tmp_path):
    programme = samples.write(tmp_path / "programme.flac", np.full((RATE, 2), 0.5), RATE)
    stems, shares = Stems(tmp_path / "background.flac", tmp_path / "voice.flac"), list[float]()
    processes = Processes(1, give_way, niceness, CUTTING)
    await separation_pieces.separate(processes, programme, stems, shares.append)
    expected = min(19, os.nice(0) + NICENESS) / 100
    assert np.abs(soundfile.read(stems.background)[0] - (0.5 - expected)).max() < 1e-3
    assert shares == [1.0]


def test_pieces_that_differ_fade_into_each_other(tmp_path):
    levels = iter([0.0, 0.2, 0.4])

    def voice_of(heard: np.ndarray) -> np.ndarray:
        return np.full_like(heard, next(levels))

    background, _ = joined(tmp_path, np.full((3 * RATE, 2), 0.5), voice_of)
    assert np.abs(np.diff(background[:, 0])).max() < 0.2 / FADE * 2
    assert background[RATE, 0] == pytest.approx(0.3, abs=1e-3)


def test_the_voice_is_the_mean_of_the_channels_without_what_16_khz_cannot_hold(tmp_path):
    at = np.arange(2 * RATE) / RATE
    low, high = 0.2 * np.sin(2 * np.pi * 1_000 * at), 0.2 * np.sin(2 * np.pi * 11_000 * at)
    _, voice = joined(tmp_path, np.column_stack([2 * low + high, high]), lambda heard: heard)
    middle = slice(1_000, -1_000)
    assert np.abs(voice - low[::3])[middle].max() < 2e-3
