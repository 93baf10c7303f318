"""Writes the voice stem: the voice at the rate at which lines are matched."""

from __future__ import annotations

import wave
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
from scipy import signal

from services.mixer.mixing.blocks import RATE, Samples

STEM_RATE = 16_000
_STEP = RATE // STEM_RATE
_REACH = 48
"""Samples before and after each that the filter weighs; a multiple of `_STEP`."""
_LOW_PASS = signal.firwin(2 * _REACH + 1, 7_350, window=("kaiser", 6.0), fs=RATE).astype(np.float32)
"""70 dB down from 8.4 kHz on: what is folded back to under 8 kHz lies at its very end."""


class StemWriter:
    """WAV, 16-bit, mono. In the process, since an encoder of its own takes as long to start as to do this work."""

    def __init__(self, path: Path | None) -> None:
        """`path` None: everything is dropped."""
        self._path = path
        self._file: wave.Wave_write | None = None
        self._open = ExitStack()
        self._window = np.zeros(_REACH, dtype=np.float32)

    def write(self, samples: Samples) -> None:
        """Takes the next samples, mono at 48 kHz; a whole stream is a multiple of three."""
        if self._file is None:
            return
        self._window = np.concatenate([self._window, samples])
        count = max(0, (len(self._window) - len(_LOW_PASS)) // _STEP + 1)
        self._file.writeframesraw(_pcm(_lowered(self._window, count)))
        self._window = self._window[count * _STEP :]

    def __enter__(self) -> StemWriter:
        """Opens the file."""
        if self._path is not None:
            self._file = self._open.enter_context(wave.open(str(self._path), "wb"))
            self._file.setnchannels(1)
            self._file.setsampwidth(2)
            self._file.setframerate(STEM_RATE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Writes what the filter still holds, and closes the file."""
        with self._open:
            self.write(np.zeros(_REACH, dtype=np.float32))


def _lowered(window: Samples, count: int) -> Samples:
    """The first `count` samples at the lower rate. Most of a voice's timeline is silence, which needs no filter."""
    if not window.any():
        return np.zeros(count, dtype=np.float32)
    first = 2 * _REACH // _STEP
    lowered: Samples = signal.upfirdn(_LOW_PASS, window, down=_STEP)[first : first + count]
    return lowered


def _pcm(samples: Samples) -> bytes:
    return (samples * 32768).round().clip(-32768, 32767).astype("<i2").tobytes()
