"""Sounds for the tests of speech recognition: real read speech, and things that are not speech."""

from __future__ import annotations

import re
import wave
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 16_000
SPEECH_DIR = Path("/usr/share/pocketsphinx/test/data/librivox")
"""From Debian's package `pocketsphinx-testdata`: LibriVox recordings, public domain."""

Sound = NDArray[np.float64]


def transcripts() -> dict[str, list[str]]:
    """Words of each recording, by its name."""
    lines = (SPEECH_DIR / "transcription").read_text().splitlines()
    matches = [re.fullmatch(r"<s> (.*) </s> \((\S+)\)", line.strip()) for line in lines]
    return {match[2]: match[1].split() for match in matches if match}


NAMES = tuple(sorted(transcripts()))


def speech(name: str) -> Sound:
    """One recording, -1 to 1."""
    with wave.open(str(SPEECH_DIR / f"{name}.wav")) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64) / 32768


def silence(seconds: float) -> Sound:
    return np.zeros(int(seconds * RATE))


def noise(seconds: float, level: float = 0.05) -> Sound:
    return np.random.default_rng(1).standard_normal(int(seconds * RATE)) * level


def music(seconds: float, level: float = 0.1) -> Sound:
    """Chords that change every second, a bass drum and a snare; `level` is the root mean square."""
    time = np.arange(int(seconds * RATE)) / RATE
    chords = np.array([(220.0, 277.2, 329.6), (174.6, 220.0, 261.6), (196.0, 246.9, 293.7), (164.8, 207.7, 246.9)])
    notes = chords[(time.astype(int) // 2) % len(chords)]
    sound = sum(
        np.sin(2 * np.pi * notes[:, i] * harmonic * (time % 1)) * np.exp(-1.2 * (time % 1)) / harmonic
        for i in range(3)
        for harmonic in (1, 2, 4)
    )
    beat = time % 0.5
    drums = np.where((time * 2).astype(int) % 2 == 0, np.sin(2 * np.pi * 70 * beat), noise(seconds, 0.7))
    mixed: Sound = sound + 3 * drums * np.exp(-beat / 0.03)
    return mixed * (level / float(np.sqrt(np.mean(np.square(mixed)))))


def reading(*names: str, pause_s: float = 1.2) -> Sound:
    """Recordings one after another with digital silence before, between and after them."""
    parts = [silence(pause_s)]
    for name in names:
        parts += [speech(name), silence(pause_s)]
    return np.concatenate(parts)


def write(path: Path, sound: Sound, rate: int = RATE, **options: Any) -> Path:
    """Stores the sound in the format that the suffix names."""
    soundfile.write(str(path), np.clip(sound, -1, 1), rate, subtype="PCM_16", **options)
    return path


def word_errors(expected: list[str], got: list[str]) -> int:
    """Fewest words to replace, insert and delete (Levenshtein)."""
    row = list(range(len(got) + 1))
    for i, word in enumerate(expected, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(got, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]
