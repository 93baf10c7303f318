"""The pitch of a voice, the median fundamental frequency of its voiced sound, and the gender that it sounds like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.asr.audio import SAMPLE_RATE, AudioFile, Samples
from services.asr.engines.base import Gender, Speaker, TimeRange, Turn

Floats = NDArray[np.float64]
_FRAME, _HOP = 640, 320
"""40 ms, which holds two periods of the deepest voice, every 20 ms."""
_FFT = 2048
_LOWEST_HZ, _HIGHEST_HZ = 60, 400
_PERIODIC = 0.7
"""Least autocorrelation of a voiced frame, of at most 1."""
_NEARLY = 0.9
"""The shortest period this near to the best one counts: a multiple of a period repeats as well as the period."""
_CUTOFF_HZ = 900
"""Above it, harmonics and hiss hide the period."""
_LEAST_FRAMES = 15
_MEASURED_MS = 60_000
"""Speech of a voice, from its longest turns, by which its pitch is measured."""
HIGHEST_MALE_HZ, LOWEST_FEMALE_HZ = 140, 165
"""The gender of a pitch between the two is not known: there are voices of both."""


def described(audio: Path, turns: Sequence[Turn]) -> tuple[Speaker, ...]:
    """The speakers in the order in which they begin to speak, each with its gender and pitch. Raises as `AudioFile`."""
    spans: dict[str, list[TimeRange]] = {}
    for turn in turns:
        spans.setdefault(turn.speaker, []).append(turn.range)
    with AudioFile(audio) as file:
        pitches = {name: _pitch_hz(file, own) for name, own in spans.items()}
    return tuple(Speaker(name, gender(pitch_hz), pitch_hz) for name, pitch_hz in pitches.items())


def gender(pitch_hz: int) -> Gender:
    """The gender that a median pitch sounds like."""
    if not pitch_hz or HIGHEST_MALE_HZ < pitch_hz < LOWEST_FEMALE_HZ:
        return Gender.UNKNOWN
    return Gender.MALE if pitch_hz <= HIGHEST_MALE_HZ else Gender.FEMALE


def _pitch_hz(file: AudioFile, spans: Sequence[TimeRange]) -> int:
    frequencies, length_ms = [], 0
    for span in sorted(spans, key=lambda span: (-span.length_ms, span.start_ms)):
        if length_ms >= _MEASURED_MS:
            break
        frequencies.append(voiced(file.range(span.start_ms, span.end_ms)))
        length_ms += span.length_ms
    return median_pitch_hz(np.concatenate(frequencies))


def voiced(sound: Samples) -> Floats:
    """
    The fundamental frequency of each voiced frame, hertz: the first high peak of the autocorrelation, divided by that
    of the frame's window (Boersma 1993), of the sound below `_CUTOFF_HZ`.
    """
    if sound.size < _FRAME:
        return np.zeros(0)
    frames = np.lib.stride_tricks.sliding_window_view(sound.astype(np.float64), _FRAME)[::_HOP]
    frames = frames - frames.mean(axis=1, keepdims=True)
    loud = np.sqrt(np.mean(np.square(frames), axis=1))
    frames = frames[loud > 0.1 * max(float(loud.max()), 1.0)]
    window = np.hanning(_FRAME)
    short, long = SAMPLE_RATE // _HIGHEST_HZ, SAMPLE_RATE // _LOWEST_HZ
    correlation = _autocorrelation(frames * window) / _autocorrelation(window[None])
    part = correlation[:, short - 1 : long + 2]
    inner = part[:, 1:-1]
    peaks = np.where((inner >= part[:, :-2]) & (inner >= part[:, 2:]), inner, 0.0)
    best = peaks.max(axis=1, initial=0.0)
    first = np.argmax(peaks >= _NEARLY * best[:, None], axis=1)
    frequencies: Floats = SAMPLE_RATE / (short + first[best >= _PERIODIC])
    return frequencies


def median_pitch_hz(frequencies: Floats) -> int:
    """The median, hertz; 0 where too little is voiced."""
    return round(float(np.median(frequencies))) if len(frequencies) >= _LEAST_FRAMES else 0


def _autocorrelation(frames: Floats) -> Floats:
    """Autocorrelation of each row below `_CUTOFF_HZ`, 1 where the lag is 0: (rows, `_FRAME` / 2)."""
    spectrum = np.square(np.abs(np.fft.rfft(frames, _FFT, axis=1)))
    spectrum[:, _CUTOFF_HZ * _FFT // SAMPLE_RATE :] = 0
    correlation = np.fft.irfft(spectrum, axis=1)[:, : _FRAME // 2]
    scaled: Floats = correlation / np.maximum(correlation[:, :1], 1e-9)
    return scaled
