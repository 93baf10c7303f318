"""Builds sample videos: real human speech (LibriVox, public domain) over soft music, with a moving picture.

The speech is what Debian's `pocketsphinx-testdata` installs, so that no sample needs a download.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
import numpy.typing as npt

from onevoice_kit.errors import PreconditionFailed
from onevoice_kit.media_exec import Command, Ffmpeg, Input, Output

Samples = npt.NDArray[np.float64]

RATE = 48_000
SPEECH_FOLDER = Path("/usr/share/pocketsphinx/test/data/librivox")
LEAD_S = 1.5
"""Music before the first line and, at least, after the last."""
PAUSES_S = (1.6, 2.2, 1.3, 2.6, 1.9)
"""Music between lines, in turn."""
SPEECH_RMS_DB = -22.0
MUSIC_RMS_DB = -30.0
DUCK_DB = -12.0
"""Gain of the music under speech, which puts it 20 dB below."""
_RAMP_S = 0.25
_BLOCK_S = 10
_CHORDS = ((220.0, 261.63, 329.63), (174.61, 220.0, 261.63), (196.0, 246.94, 293.66), (164.81, 196.0, 246.94))
"""Frequencies in Hz: A minor, F, G, E minor."""
_CHORD_S = 3.0


@dataclass(frozen=True, slots=True)
class Line:
    """One spoken line of a clip."""

    start_ms: int
    """Onset of the voice (not of the recording, which begins with a breath of silence)."""
    end_ms: int
    text: str
    """The spoken words, in lower case without punctuation, as the corpus transcribes it."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A built sample."""

    path: Path
    duration_ms: int
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class _Recording:
    samples: Samples
    """Mono at `RATE`, at `SPEECH_RMS_DB`."""
    onset: int
    offset: int
    """First and one after the last sample of the voice."""
    text: str


async def build_clip(
    path: Path,
    seconds: float = 60.0,
    *,
    speech: bool = True,
    music: bool = True,
    size: tuple[int, int] = (1280, 720),
    frame_rate: int = 25,
) -> Clip:
    """
    Writes an MP4 (H.264, AAC stereo 48 kHz, index first) of `seconds`, and returns the lines with their times. Lines
    follow each other with pauses, from the start again as often as they fit. `size` is width and height in pixels, even
    numbers. Raises `PreconditionFailed` (reason `sample_speech_missing`) where the recordings are not installed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    recordings = await asyncio.to_thread(_recordings) if speech else []
    placed = list(_place(recordings, seconds))
    ffmpeg = Ffmpeg()
    async with ffmpeg.workspace() as workspace:
        sound, video = workspace.new("wav"), workspace.new("mp4")
        await asyncio.to_thread(_write_sound, sound.path, placed, seconds, music)
        picture = f"testsrc2=size={size[0]}x{size[1]}:rate={frame_rate}:duration={seconds}[picture]"
        options = (
            *("-map", "[picture]", "-map", "0:a", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "35"),
            *("-pix_fmt", "yuv420p", "-g", str(frame_rate * 2), "-c:a", "aac", "-b:a", "160k"),
            *("-metadata:s:a:0", "language=eng", "-movflags", "+faststart", "-f", "mp4"),
        )
        command = Command(inputs=(Input(sound, own="wav"),), outputs=(Output(video, options),), filters=picture)
        await ffmpeg.run(command, workspace)
        await asyncio.to_thread(shutil.move, video.path, path)
    lines = [_line(start, recording) for start, recording in placed]
    return Clip(path, round(seconds * 1000), lines)


def speech_folder() -> Path:
    """The folder of the installed recordings; `PreconditionFailed` (reason `sample_speech_missing`) with what to do."""
    if SPEECH_FOLDER.is_dir():
        return SPEECH_FOLDER
    dpkg = shutil.which("dpkg")
    listed = ""
    if dpkg:
        asked = subprocess.run([dpkg, "-L", "pocketsphinx-testdata"], capture_output=True, text=True, check=False)
        listed = asked.stdout
    for name in listed.splitlines():
        if name.endswith("/librivox") and Path(name).is_dir():
            return Path(name)
    raise PreconditionFailed(
        "The sample speech is not installed: apt-get install pocketsphinx-testdata.", reason="sample_speech_missing"
    )


def _recordings() -> list[_Recording]:
    folder = speech_folder()
    texts = _transcription(folder / "transcription")
    return [_read(path, texts.get(path.stem, "")) for path in sorted(folder.glob("*.wav"))]


def _transcription(path: Path) -> dict[str, str]:
    """File stem to text, from lines like `<s> words </s> (stem)`."""
    texts = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        words, _, stem = line.rpartition("(")
        texts[stem.rstrip(") ")] = words.replace("<s>", "").replace("</s>", "").strip()
    return texts


def _read(path: Path, text: str) -> _Recording:
    with wave.open(str(path), "rb") as file:
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float64) / 32768
    samples = _at_level(_resampled(samples, rate), SPEECH_RMS_DB)
    onset, offset = _voice(samples)
    return _Recording(samples, onset, offset, text)


def _resampled(samples: Samples, rate: int) -> Samples:
    """Band-limited, by padding the spectrum with zeros; for a whole multiple of the rate."""
    factor = RATE // rate
    spectrum = np.fft.rfft(samples)
    padded = np.zeros(len(samples) * factor // 2 + 1, dtype=np.complex128)
    padded[: len(spectrum)] = spectrum
    return np.fft.irfft(padded, len(samples) * factor) * factor


def _at_level(samples: Samples, db: float) -> Samples:
    rms = float(np.sqrt(np.mean(samples**2))) or 1.0
    return samples * (10 ** (db / 20) / rms)


def _voice(samples: Samples) -> tuple[int, int]:
    """First and last sample of the voice: 30 ms on end within 20 dB of the loudest 10 ms (the noise is 25 dB below)."""
    window = RATE // 100
    count = len(samples) // window
    power = np.mean(samples[: count * window].reshape(count, window) ** 2, axis=1)
    loud = np.flatnonzero(np.convolve(power > power.max() * 1e-2, [1, 1, 1], "valid") == 3)
    return int(loud[0]) * window, (int(loud[-1]) + 3) * window


def _place(recordings: Sequence[_Recording], seconds: float) -> Iterator[tuple[int, _Recording]]:
    """Start of each recording in samples, until the next would not fit."""
    at, last = round(LEAD_S * RATE), round((seconds - LEAD_S) * RATE)
    for recording, pause in zip(cycle(recordings), cycle(PAUSES_S), strict=False):
        if at + len(recording.samples) > last:
            return
        yield at, recording
        at += len(recording.samples) + round(pause * RATE)


def _line(start: int, recording: _Recording) -> Line:
    return Line(
        start_ms=round((start + recording.onset) * 1000 / RATE),
        end_ms=round((start + recording.offset) * 1000 / RATE),
        text=recording.text,
    )


def _write_sound(path: Path, placed: Sequence[tuple[int, _Recording]], seconds: float, music: bool) -> None:
    """16-bit stereo, in blocks, so that a long clip needs no more memory than a short one."""
    total = round(seconds * RATE)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        for start in range(0, total, _BLOCK_S * RATE):
            block = _block(start, min(start + _BLOCK_S * RATE, total), placed, music)
            file.writeframes((np.clip(block, -1, 1) * 32767).astype("<i2").tobytes())


def _block(start: int, end: int, placed: Sequence[tuple[int, _Recording]], music: bool) -> Samples:
    voice = np.zeros(end - start)
    for at, recording in placed:
        first, last = max(at, start), min(at + len(recording.samples), end)
        if first < last:
            voice[first - start : last - start] += recording.samples[first - at : last - at]
    stereo = np.repeat(voice[:, None], 2, axis=1)
    return stereo + _music(start, end) * _duck(start, end, placed)[:, None] if music else stereo


def _music(start: int, end: int) -> Samples:
    """Chords of sines with a soft attack, a little different left and right; the same for every block cut."""
    seconds = np.arange(start, end) / RATE
    chord, within = np.divmod(seconds, _CHORD_S)
    notes = np.array(_CHORDS)[chord.astype(int) % len(_CHORDS)]
    # Each chord swells and fades, so that no step clicks.
    envelope = np.sin(np.pi * within / _CHORD_S) ** 0.5
    left = sum(np.sin(2 * np.pi * notes[:, n] * seconds) for n in range(3)) * envelope
    right = sum(np.sin(2 * np.pi * notes[:, n] * seconds + 0.7 * (n + 1)) for n in range(3)) * envelope
    # Three sines under this envelope have an RMS of sqrt(3 / 2 · 2 / π).
    level = 10.0 ** (MUSIC_RMS_DB / 20) / (3 / np.pi) ** 0.5
    return np.asarray(np.stack([left, right], axis=1) * level, dtype=np.float64)


def _duck(start: int, end: int, placed: Sequence[tuple[int, _Recording]]) -> Samples:
    """Gain of the music: 1 between lines, `DUCK_DB` under them, with straight ramps before and after."""
    at = np.arange(start, end)
    depth, ramp = np.zeros(end - start), _RAMP_S * RATE
    for begin, recording in placed:
        outside = np.maximum(begin - at, at - (begin + len(recording.samples)))
        depth = np.maximum(depth, np.clip(1 - outside / ramp, 0, 1))
    return np.asarray(10 ** (DUCK_DB / 20 * depth), dtype=np.float64)


def main() -> None:
    """`python -m onevoice_cli.sample PATH [--seconds N]`."""
    parser = argparse.ArgumentParser(description="Build a sample video with real speech, music and a picture.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    clip = asyncio.run(build_clip(arguments.path, arguments.seconds))
    print(f"{clip.path}: {clip.duration_ms / 1000:.1f} s, {len(clip.lines)} lines")


if __name__ == "__main__":
    main()
