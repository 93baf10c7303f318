"""Spoken samples: silence trimmed at both ends, and WAV around them."""

from __future__ import annotations

import array
import io
import sys
import wave

BYTES_PER_SAMPLE = 2
HEADER_BYTES = 44
"""Of the WAV files written here: RIFF, fmt and data headers, nothing else."""
_WINDOW_MS = 5
_KEPT_MS = 10
"""Silence that stays on each side, so that a soft onset is not cut."""
_FLOOR = 1 / 100
"""Part of the peak (−40 dB) below which a window is silent."""


def trim(samples: bytes, sample_rate: int) -> bytes:
    """Mono 16-bit samples without the silence before and after; empty where there is nothing but silence."""
    heard = array.array("h", samples[: len(samples) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE])
    if sys.byteorder == "big":
        heard.byteswap()
    window = sample_rate * _WINDOW_MS // 1000
    # Every eighth sample gives the peak well enough for a threshold, at an eighth of the time.
    threshold = max(1.0, _peak(heard[::8]) * _FLOOR)
    starts = range(0, len(heard), window)
    first = next((s for s in starts if _peak(heard[s : s + window]) > threshold), None)
    if first is None:
        return b""
    last = next(s for s in reversed(starts) if _peak(heard[s : s + window]) > threshold)
    kept = sample_rate * _KEPT_MS // 1000
    start, end = max(0, first - kept), min(len(heard), last + window + kept)
    return samples[start * BYTES_PER_SAMPLE : end * BYTES_PER_SAMPLE]


def _peak(samples: array.array[int]) -> int:
    return max(abs(max(samples)), abs(min(samples))) if samples else 0


def to_wav(samples: bytes, sample_rate: int) -> bytes:
    """Mono 16-bit samples as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(BYTES_PER_SAMPLE)
        wav.setframerate(sample_rate)
        wav.writeframes(samples)
    return file.getvalue()


def length_ms(wav_bytes: int, sample_rate: int) -> int:
    """Length of a WAV file of this size that was written here, rounded."""
    return round((wav_bytes - HEADER_BYTES) / BYTES_PER_SAMPLE * 1000 / sample_rate)
