"""Reads stored audio piece by piece, so that memory does not grow with its length."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from onevoice_kit.errors import InvalidInput, NotFound

SAMPLE_RATE = 16_000
"""Hz; what every engine and detector here takes."""
SAMPLES_PER_MS = SAMPLE_RATE // 1000
_UNKNOWN_LENGTH = 1 << 40
_CONTAINERS = frozenset({"WAV", "WAVEX", "FLAC"})

Samples = NDArray[np.int16]


def opened(path: Path, rate: int, channels: int) -> Any:
    """A WAV or FLAC file with this rate and number of channels, a `soundfile.SoundFile`; errors as of `AudioFile`."""
    if not path.is_file():
        raise NotFound("The audio is no longer stored.", reason="object_not_found")
    try:
        file: Any = soundfile.SoundFile(str(path))
    except soundfile.LibsndfileError as error:
        raise undecodable() from error
    if problem := _problem(file, rate, channels):
        file.close()
        raise InvalidInput(problem, reason="unsupported_audio")
    return file


def _problem(file: Any, rate: int, channels: int) -> str:
    if file.format not in _CONTAINERS:
        return f"The audio is {file.format}; it must be WAV or FLAC."
    if file.samplerate != rate:
        return f"The audio has {file.samplerate} Hz; it must have {rate}."
    if file.channels != channels:
        return f"The audio has {file.channels} channels; it must have {channels}."
    if not 0 <= file.frames < _UNKNOWN_LENGTH:
        # A FLAC written to a pipe; libsndfile can neither seek in it nor read its last block.
        return "The audio does not state its length; write it to a file, not to a pipe."
    return ""


class AudioFile:
    """
    A mono WAV or FLAC file of 16 kHz, open for reading.

    Raises `InvalidInput`: `invalid_audio` for a file that cannot be decoded, `unsupported_audio` for another
    container, rate or number of channels, or no length; `NotFound` (reason `object_not_found`) where the file has gone.
    """

    def __init__(self, path: Path) -> None:
        self._file = opened(path, SAMPLE_RATE, 1)

    def block(self, samples: int) -> Samples:
        """The next samples, fewer at the end, none after it."""
        try:
            data: Samples = self._file.read(samples, dtype="int16")
        except soundfile.LibsndfileError as error:
            raise undecodable() from error
        return data

    def blocks(self, samples: int) -> Iterator[Samples]:
        """The whole content, piece by piece; only the last piece may be shorter."""
        while (data := self.block(samples)).size:
            yield data

    def range(self, start_ms: int, end_ms: int) -> Samples:
        """The samples of a range; fewer where the file ends before it does."""
        try:
            self._file.seek(min(start_ms * SAMPLES_PER_MS, self._file.frames))
        except soundfile.LibsndfileError as error:
            raise undecodable() from error
        return self.block((end_ms - start_ms) * SAMPLES_PER_MS)

    @property
    def size_ms(self) -> int:
        """Length that the header declares; nothing is allocated by it, because it may be wrong."""
        return int(self._file.frames) // SAMPLES_PER_MS

    @property
    def is_flac(self) -> bool:
        """True for FLAC, False for WAV."""
        return bool(self._file.format == "FLAC")

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def undecodable() -> InvalidInput:
    """The error for a file that cannot be decoded."""
    return InvalidInput("The audio cannot be decoded.", reason="invalid_audio")
