"""Measures media with ffmpeg, ffprobe and plain arithmetic: nothing of the code under test."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

RATE = 48_000
Samples = npt.NDArray[np.float32]


def probe(path: Path) -> dict[str, Any]:
    """Format and streams by ffprobe."""
    out = _run("ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", str(path))
    parsed: dict[str, Any] = json.loads(out)
    return parsed


def streams(path: Path, kind: str) -> list[dict[str, Any]]:
    """The streams of one kind, in order."""
    return [stream for stream in probe(path)["streams"] if stream["codec_type"] == kind]


def video_hash(path: Path) -> str:
    """SHA-256 over the packets of the video stream."""
    out = _run("ffmpeg", "-v", "error", "-i", str(path), "-map", "0:v:0", "-c", "copy", "-f", "streamhash", "-")
    return out.strip().rpartition("=")[2]


def decode(path: Path, track: int = 0) -> Samples:
    """A sound track as mono samples at 48 kHz, timed as a player would play it."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", f"0:a:{track}", "-af", "aresample=async=1:first_pts=0"]
    command += ["-ac", "1", "-ar", str(RATE), "-f", "f32le", "-"]
    raw = subprocess.run(command, check=True, capture_output=True, timeout=120).stdout
    return np.frombuffer(raw, dtype="<f4")


def loudness(path: Path, track: int = 0) -> tuple[float, float]:
    """Integrated loudness (LUFS) and true peak (dBTP) by ffmpeg's ebur128."""
    command = ["ffmpeg", "-hide_banner", "-nostats", "-i", str(path), "-map", f"0:a:{track}"]
    command += ["-af", "ebur128=peak=true:framelog=verbose", "-f", "null", "-"]
    log = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stderr
    summary = log[log.rindex("Summary:") :]
    integrated = re.search(r"I:\s+(-?[\d.]+|-inf) LUFS", summary)
    peak = re.search(r"Peak:\s+(-?[\d.]+|-inf) dBFS", summary)
    assert integrated
    assert peak
    return float(integrated[1]), float(peak[1])


def rms_db(samples: Samples) -> float:
    """Level in dB relative to full scale."""
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))


def cut(samples: Samples, start_ms: float, end_ms: float) -> Samples:
    """The samples between two times."""
    return samples[max(0, int(start_ms * RATE / 1000)) : int(end_ms * RATE / 1000)]


def onset_ms(samples: Samples, near_ms: float, *, before_ms: float = 400, after_ms: float = 900) -> float:
    """Onset of a voice around a time: the first 10 ms within 15 dB of the loudest there."""
    start = max(0.0, near_ms - before_ms)
    window = RATE // 100
    part = cut(samples, start, near_ms + after_ms)
    count = len(part) // window
    power = np.mean(np.square(part[: count * window].reshape(count, window), dtype=np.float64), axis=1)
    return start + 10.0 * float(np.flatnonzero(power > power.max() * 10**-1.5)[0])


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
