"""Mixing measured: two hours with 2,000 clips against ffmpeg alone, memory by length, and pydub's overlay."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onevoice_kit.media_exec import Ffmpeg
from onevoice_kit.storage.base import ObjectRef, Storage
from onevoice_kit.testing.storage import file_storage
from services.mixer.measuring import MeasureJob, Measurer, PlannedLine
from services.mixer.mixing.mixer import Mixer
from services.mixer.mixing.plan import Clip, Loudness, MixJob, Range

from .memory import MemoryWatch
from .table import Row

_SPEEDS = (1.0, 1.0, 1.08, 1.0, 0.95, 1.0, 1.2, 1.0)
"""Of the clips in turn: the median is 1, three of eight need the filter that keeps the pitch."""
_CLIP_S = 2.6
_VOICES = 40


@dataclass(frozen=True, slots=True)
class MixRun:
    """One mix in a process of its own."""

    wall_s: float
    cpu_s: float
    """Processor time of the process and all it starts, loading included."""
    peak_mb: float
    """Proportional memory of the process and all it starts, at its highest."""


@dataclass(frozen=True, slots=True)
class LongMix:
    """A mix against ffmpeg decoding FLAC and encoding AAC of the same length."""

    minutes: float
    clips: int
    mix: MixRun
    measuring: MixRun
    """Of the finished mix, as the pipeline does it after the mux."""
    ffmpeg: MixRun

    @property
    def ratio(self) -> float:
        """Wall clock of the mix over ffmpeg's."""
        return self.mix.wall_s / self.ffmpeg.wall_s

    @property
    def cpu_ratio(self) -> float:
        """Processor time of the mix over ffmpeg's; other work on the machine hardly changes it."""
        return self.mix.cpu_s / self.ffmpeg.cpu_s


@dataclass(frozen=True, slots=True)
class PydubComparison:
    """The same clips over the same background with pydub's overlay."""

    minutes: float
    clips: int
    mix: MixRun
    pydub: MixRun

    @property
    def ratio(self) -> float:
        """Wall clock of the mix over pydub's."""
        return self.mix.wall_s / self.pydub.wall_s


def run() -> list[Row]:
    """The rows of the table."""
    long, short, overlaid = long_mix(), short_mix(), against_pydub()
    mixed, measured, alone = long.mix, long.measuring, long.ffmpeg
    return [
        Row(
            "2 h with 2,000 clips mixed / ffmpeg decodes and encodes 2 h",
            long.ratio,
            1.5,
            f"{mixed.wall_s:.0f} s / {alone.wall_s:.0f} s",
        ),
        Row("the same, processor time", long.cpu_ratio, None, f"{mixed.cpu_s:.0f} s / {alone.cpu_s:.0f} s"),
        Row(
            "the finished mix of 2 h measured / ffmpeg decodes and encodes 2 h",
            measured.wall_s / alone.wall_s,
            None,
            f"{measured.wall_s:.0f} s, {measured.peak_mb:.0f} MB",
        ),
        Row(
            "memory of that mix, share of 300 MB",
            mixed.peak_mb / 300,
            1.0,
            f"{mixed.peak_mb:.0f} MB with all it starts",
        ),
        Row(
            "memory of 2 h / of 20 min",
            mixed.peak_mb / short.peak_mb,
            1.1,
            f"{mixed.peak_mb:.0f} MB / {short.peak_mb:.0f} MB",
        ),
        Row(
            "3 min with 50 clips mixed / pydub's overlay",
            overlaid.ratio,
            None,
            f"{overlaid.mix.wall_s:.0f} s, {overlaid.mix.peak_mb:.0f} MB /"
            f" {overlaid.pydub.wall_s:.0f} s, {overlaid.pydub.peak_mb:.0f} MB",
        ),
    ]


def long_mix(minutes: float = 120, clips: int = 2000) -> LongMix:
    """Mixes `clips` over `minutes` and has ffmpeg decode and encode the same background, one after the other."""
    with tempfile.TemporaryDirectory(prefix="onevoice-bench-") as folder:
        _make(Path(folder), minutes)
        mix, measuring, alone = (_run(way, Path(folder), minutes, clips) for way in ("mix", "measure", "ffmpeg"))
        return LongMix(minutes, clips, mix, measuring, alone)


def short_mix(minutes: float = 20, clips: int = 333) -> MixRun:
    """A mix with as many clips a minute, for its memory."""
    with tempfile.TemporaryDirectory(prefix="onevoice-bench-") as folder:
        _make(Path(folder), minutes)
        return _run("mix", Path(folder), minutes, clips)


def against_pydub(minutes: float = 3, clips: int = 50) -> PydubComparison:
    """
    Mixes with both; pydub neither ducks nor measures loudness nor changes speeds, and holds all in memory. It copies
    the whole sound for each clip, so its time grows by the square of the length: 20 minutes would take ten.
    """
    with tempfile.TemporaryDirectory(prefix="onevoice-bench-") as folder:
        _make(Path(folder), minutes)
        mix, pydub = (_run(way, Path(folder), minutes, clips) for way in ("mix", "pydub"))
        return PydubComparison(minutes, clips, mix, pydub)


def _make(folder: Path, minutes: float) -> None:
    """A background (chords under noise, 48 kHz stereo FLAC) and clips with the rhythm of speech (22.05 kHz WAV)."""
    tones = "0.1*sin(2*PI*220*t)+0.08*sin(2*PI*277*t)+0.06*(random(0)-0.5)|0.1*sin(2*PI*330*t)+0.06*(random(1)-0.5)"
    source = ("-f", "lavfi", "-i", f"aevalsrc='{tones}':s=48000:d=60")
    _ffmpeg(*source, "-sample_fmt", "s16", str(folder / "minute.wav"))
    loop = ("-stream_loop", "-1", "-i", str(folder / "minute.wav"), "-t", str(minutes * 60))
    _ffmpeg(*loop, "-c:a", "flac", str(folder / "background.flac"))
    random = np.random.default_rng(1)
    time_axis = np.arange(int(_CLIP_S * 22050)) / 22050
    for number in range(_VOICES):
        syllables = 0.5 + 0.5 * np.sin(2 * np.pi * 4 * time_axis + number)
        voice = sum(np.sin(2 * np.pi * (110 + number) * k * time_axis) / k for k in range(1, 12))
        speech = 0.25 * syllables * voice + 0.01 * random.standard_normal(len(time_axis))
        with wave.open(str(folder / f"clip{number}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(22050)
            file.writeframes((speech.clip(-1, 1) * 32767).astype("<i2").tobytes())


def _ffmpeg_alone(folder: Path) -> float:
    started = time.perf_counter()
    encode = ("-c:a", "aac", "-aac_coder", "fast", "-b:a", "192k", "-movflags", "+faststart", str(folder / "alone.m4a"))
    _ffmpeg("-i", str(folder / "background.flac"), *encode)
    return time.perf_counter() - started


def _ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True)


def _run(way: str, folder: Path, minutes: float, clips: int) -> MixRun:
    """One way in a fresh process, while its memory is watched."""
    command = [sys.executable, "-m", "bench.mix", way, str(folder), str(minutes), str(clips)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        watch = MemoryWatch(process.pid)
        output, _ = process.communicate()
        peak = watch.stop()
    if process.returncode != 0:
        raise RuntimeError(f"{way} ended with {process.returncode}")
    taken = json.loads(output)
    print(f"  {way} of {minutes:g} minutes took {taken['wall_s']:.0f} s", file=sys.stderr, flush=True)
    return MixRun(taken["wall_s"], taken["cpu_s"], peak)


def _places(minutes: float, clips: int) -> list[int]:
    """The starts of the clips, milliseconds."""
    step = minutes * 60_000 / clips
    return [int(number * step) for number in range(clips)]


async def _mix(folder: Path, minutes: float, clips: int) -> float:
    storage = file_storage(folder / "objects")
    job = await _stored(storage, folder, minutes, clips)
    started = time.perf_counter()
    await Mixer(storage, Ffmpeg()).mix(job)
    return time.perf_counter() - started


async def _measure(folder: Path, minutes: float, clips: int) -> float:
    """After `_mix` in the same folder, whose mix is found there and not made again."""
    storage = file_storage(folder / "objects")
    job = await _stored(storage, folder, minutes, clips)
    mix = await Mixer(storage, Ffmpeg()).mix(job)
    lines = tuple(
        PlannedLine(str(number), clip.start_ms, clip.start_ms + placed)
        for number, (clip, placed) in enumerate(zip(job.clips, mix.placed_ms, strict=True))
    )
    started = time.perf_counter()
    measured = await Measurer(storage, Ffmpeg()).measure(
        MeasureJob(mix.audio, 0, mix.voice, job.background, lines, job.duck_ranges)
    )
    wall = time.perf_counter() - started
    if missing := [line.id for line in measured.lines if not line.present]:
        raise RuntimeError(f"lines not found: {missing[:5]}")
    return wall


async def _stored(storage: Storage, folder: Path, minutes: float, clips: int) -> MixJob:
    background = await storage.put_file("in/background.flac", folder / "background.flac", "audio/flac")
    voices = [await storage.put_file(f"in/clip{n}.wav", folder / f"clip{n}.wav", "audio/wav") for n in range(_VOICES)]
    return _job(background, voices, minutes, clips)


def _job(background: ObjectRef, voices: list[ObjectRef], minutes: float, clips: int) -> MixJob:
    placed = tuple(
        Clip(voices[n % _VOICES], start, _SPEEDS[n % len(_SPEEDS)]) for n, start in enumerate(_places(minutes, clips))
    )
    ducked = tuple(Range(clip.start_ms, clip.start_ms + int(_CLIP_S * 1000 / clip.speed)) for clip in placed)
    return MixJob(background, placed, int(minutes * 60_000), ducked, -18.0, Loudness.SOURCE, -18.0, "out")


def _pydub(folder: Path, minutes: float, clips: int) -> float:
    from pydub import AudioSegment

    started = time.perf_counter()
    mixed = AudioSegment.from_file(folder / "background.flac")
    voices = [AudioSegment.from_wav(folder / f"clip{n}.wav") for n in range(_VOICES)]
    for number, start in enumerate(_places(minutes, clips)):
        mixed = mixed.overlay(voices[number % _VOICES], position=start)
    mixed.export(folder / "pydub.m4a", format="mp4", codec="aac", bitrate="192k")
    return time.perf_counter() - started


def _main(way: str, folder: str, minutes: str, clips: str) -> None:
    before = sum(os.times()[:4])
    if way == "ffmpeg":
        wall = _ffmpeg_alone(Path(folder))
    elif way == "pydub":
        wall = _pydub(Path(folder), float(minutes), int(clips))
    else:
        one = _mix if way == "mix" else _measure
        wall = asyncio.run(one(Path(folder), float(minutes), int(clips)))
    print(json.dumps({"wall_s": wall, "cpu_s": sum(os.times()[:4]) - before}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
