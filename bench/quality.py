"""`python -m bench.quality [ENGINE …]`: word errors, time, memory of recognition engines, each in its process."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable, Mapping
from contextlib import aclosing
from pathlib import Path

import numpy as np
import psutil
from scipy.signal import resample_poly

from services.asr.audio import AudioFile
from services.asr.engines.base import FRAME_SAMPLES, TimeRange
from services.asr.engines.registry import TRANSCRIPTION, detection_engines, transcription_engines
from services.asr.regions import FrameScores, RegionRules, find_regions
from services.asr.settings import AsrSettings
from services.tts.engines.base import Line
from services.tts.engines.registry import synthesis_engines, voices_for
from services.tts.settings import TtsSettings
from tests.unit.asr import samples

from .round_trip import LINES

_LIVE = samples.SPEECH_DIR.parent / "cards"
_NUMBERS = dict(zip("12345678", ["one", "two", "three", "four", "five", "six", "seven", "eight"], strict=True))
_NUMBERS |= {"10": "ten"}
Clip = tuple[samples.Sound, list[str]]


def _read() -> Clip:
    words = [word for name in samples.NAMES for word in samples.transcripts()[name]]
    return samples.reading(*samples.NAMES), words


def _over_music(ratio_db: float) -> Clip:
    sound, words = _read()
    voice = np.concatenate([samples.speech(name) for name in samples.NAMES])
    level = float(np.sqrt(np.mean(np.square(voice)))) * 10 ** (-ratio_db / 20)
    return sound + samples.music(sound.size / samples.RATE + 1, level)[: sound.size], words


def _live() -> Clip:
    """Short live phrases of another speaker through a poor microphone, on which nothing here was tuned."""
    parts = [samples.silence(1)]
    words: list[str] = []
    for line in (_LIVE / "cards.transcription").read_text().splitlines():
        text, name = re.fullmatch(r"<s>(.*)</s> \((\d+)\)", line.strip()).groups()  # type: ignore[union-attr]
        with wave.open(str(_LIVE / f"{name}.wav")) as file:
            parts += [np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768, samples.silence(1)]
        words += text.split()
    return np.concatenate(parts), words


def _made(engine: str) -> Clip:
    """The lines of the round trip, spoken by a voice that is no recording."""

    async def speak() -> list[samples.Sound]:
        one = synthesis_engines(TtsSettings(tts_engines=(engine,), tts_workers=1)).get(engine)
        described = await one.describe()
        voice = voices_for(described.voices, "en-US")[0]
        spoken = [await one.speak(Line(line, voice)) for line in LINES["en-US"]]
        await one.close()
        rate = described.sample_rate
        sounds = [np.frombuffer(sound, "<i2").astype(np.float64) / 32768 for sound in spoken]
        return [part for sound in sounds for part in (resample_poly(sound, samples.RATE, rate), samples.silence(1))]

    words = spelt(" ".join(LINES["en-US"]))
    return np.concatenate([samples.silence(1), *asyncio.run(speak())]), words


CLIPS: dict[str, Callable[[], Clip]] = {
    "read": _read,
    "read, music 10 dB below": lambda: _over_music(10),
    "read, music as loud": lambda: _over_music(0),
    "short phrases, live": _live,
    "spoken by hibari": lambda: _made("hibari"),
    "spoken by eSpeak NG": lambda: _made("espeak"),
}


def spelt(text: str) -> list[str]:
    """The words as the references spell them."""
    plain = re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("mr.", "mister"))
    return [_NUMBERS.get(word, word) for word in plain.split()]


def regions(path: Path) -> tuple[list[TimeRange], int]:
    """Regions of speech as the service finds them, and the length of the audio in milliseconds."""
    scan = detection_engines(AsrSettings()).get("silero").scan()
    with AudioFile(path) as file:
        sound = file.block(file.size_ms * 16)
    frames = np.pad(sound / 32768, (0, -sound.size % FRAME_SAMPLES)).reshape(-1, FRAME_SAMPLES)
    levels = np.sqrt(np.mean(np.square(frames), axis=1)).astype(np.float32)
    length_ms = sound.size // 16
    return find_regions(FrameScores(scan.feed(sound), levels), length_ms, RegionRules()), length_ms


def _seconds() -> float:
    """Processor seconds of this process and its children."""
    mine = psutil.Process()
    return float(sum(sum(one.cpu_times()[:2]) for one in [mine, *mine.children(recursive=True)]))


def _memory() -> float:
    mine = psutil.Process()
    return float(sum(one.memory_info().rss for one in [mine, *mine.children(recursive=True)])) / 1e6


async def measure(name: str, clips: Mapping[str, Clip]) -> list[str]:
    """One row of the table for each clip."""
    engine = transcription_engines(AsrSettings(asr_transcription_engines=(name,), asr_workers=1)).get(name)
    before = _memory()
    await engine.warm()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for title, (sound, words) in clips.items():
            path = samples.write(Path(folder) / "clip.wav", sound)
            found, length_ms = regions(path)
            began, got = _seconds(), []
            async with aclosing(engine.transcribe(path, found, "en")) as utterances:
                async for utterance in utterances:
                    got += spelt(" ".join(word.text for word in utterance.words))
            errors, cost = samples.word_errors(words, got) / len(words), (_seconds() - began) * 1000 / length_ms
            rows.append(f"{name:14}{title:26}{len(words):6}{errors:9.1%}{cost:9.2f}{_memory() - before:9.0f}")
    await engine.close()
    return rows


def main() -> None:
    """Measures the engines named, or all."""
    if "--here" in sys.argv:
        clips = {title: make() for title, make in CLIPS.items()}
        print("\n".join(asyncio.run(measure(sys.argv[-1], clips))))
        return
    print(f"{'engine':14}{'speech':26}{'words':>6}{'errors':>9}{'CPU s/s':>9}{'MB':>9}", flush=True)
    for name in sys.argv[1:] or TRANSCRIPTION:
        subprocess.run(
            [sys.executable, "-m", "bench.quality", "--here", name],
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            check=True,
        )


if __name__ == "__main__":
    main()
