"""Programmes as they are separated: 48 kHz stereo read piece by piece, and the two files that a separation writes."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from services.asr.audio import SAMPLE_RATE, opened, undecodable

RATE = 48_000
"""Hz of a programme and of its background."""
CHANNELS = 2
_STEP = RATE // SAMPLE_RATE
_REACH = 48
"""Samples before and after each that the filter of the voice weighs; a multiple of `_STEP`."""
_PART = RATE
"""Samples that are filtered at once."""

Stereo = NDArray[np.float32]
"""Samples, shape `(n, 2)`, -1 to 1."""


class Programme:
    """
    A stereo WAV or FLAC file of 48 kHz, open for reading.

    Raises `InvalidInput`: `invalid_audio` for a file that cannot be decoded or has no samples, `unsupported_audio` for
    another container, rate or number of channels, or no length; `NotFound` (reason `object_not_found`) where the file
    has gone.
    """

    def __init__(self, path: Path) -> None:
        self._file = opened(path, RATE, CHANNELS)
        if not self._file.frames:
            self._file.close()
            raise undecodable()
        self.size = int(self._file.frames)
        """Samples of each channel."""

    def range(self, begin: int, end: int) -> Stereo:
        """The samples of a range; silence before the start and after the end of the file."""
        low, high = max(0, begin), max(0, min(end, self.size))
        try:
            self._file.seek(min(low, self.size))
            found: Stereo = self._file.read(max(0, high - low), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise undecodable() from error
        if len(found) < high - low:
            raise undecodable()
        return np.pad(found, ((low - begin, end - low - len(found)), (0, 0)))

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class StemFiles:
    """Writes the background (FLAC, 48 kHz, stereo) and the voice (FLAC, 16 kHz, mono), block by block."""

    def __init__(self, background: Path, voice: Path) -> None:
        with ExitStack() as files:
            self._background: Any = files.enter_context(_flac(background, RATE, CHANNELS))
            self._voice: Any = files.enter_context(_flac(voice, SAMPLE_RATE, 1))
            self._files = files.pop_all()
        self._lowered = _Lowered()

    def write(self, programme: Stereo, voice: Stereo) -> None:
        """Takes the next samples of the programme and, of the same length, those of the voice in it."""
        self._background.write(np.clip(programme - voice, -1, 1))
        self._write_voice(voice.mean(axis=1))

    def _write_voice(self, mono: NDArray[np.float32]) -> None:
        for start in range(0, len(mono), _PART):
            self._voice.write(np.clip(self._lowered.push(mono[start : start + _PART]), -1, 1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._files:
            self._write_voice(np.zeros(_REACH, np.float32))


class _Lowered:
    """48 kHz to 16 kHz: a low-pass of 7.35 kHz (Kaiser window, 70 dB), of which every third sample is kept."""

    def __init__(self) -> None:
        times = np.arange(-_REACH, _REACH + 1)
        taps = np.sinc(2 * 7_350 / RATE * times) * np.kaiser(2 * _REACH + 1, 6.0)
        self._taps = (taps / taps.sum()).astype(np.float32)
        self._kept = np.zeros(_REACH, np.float32)

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The samples at the lower rate that are complete with these."""
        kept = np.concatenate([self._kept, samples])
        count = max(0, (len(kept) - len(self._taps)) // _STEP + 1)
        if not count:
            self._kept = kept
            return np.zeros(0, np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(kept, len(self._taps))[: count * _STEP : _STEP]
        self._kept = kept[count * _STEP :]
        lowered: NDArray[np.float32] = windows @ self._taps
        return lowered


def _flac(path: Path, rate: int, channels: int) -> Any:
    return soundfile.SoundFile(str(path), "w", rate, channels, "PCM_16", format="FLAC")
