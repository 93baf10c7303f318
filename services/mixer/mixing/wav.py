"""Reads WAV without a process: thousands of clips would otherwise be thousands of starts."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onevoice_kit.errors import InvalidInput
from services.mixer.mixing.blocks import Samples

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_KINDS = {(_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_FLOAT, 64)}


@dataclass(frozen=True, slots=True)
class WavHeader:
    """The position and the kind of the samples in a WAV file."""

    rate: int
    channels: int
    code: int
    """1: integers, 3: floating point."""
    bits: int
    offset: int
    """Of the first sample in the file, bytes."""
    frames: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self.channels * self.bits // 8


def read_header(path: Path) -> WavHeader:
    """The header; `InvalidInput` (reason `clip_not_wav`) for anything but plain WAV."""
    size = path.stat().st_size
    with path.open("rb") as file:
        riff = file.read(12)
        if len(riff) < 12 or riff[:4] != b"RIFF" or riff[8:] != b"WAVE":
            raise _not_wav()
        layout: tuple[int, int, int, int] | None = None
        while len(chunk := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data" and layout:
                return _header(layout, file.tell(), min(length, size - file.tell()))
            body = file.read(min(length, 40)) if name == b"fmt " else b""
            layout = _layout(body) if name == b"fmt " else layout
            file.seek(length + length % 2 - len(body), 1)
    raise _not_wav()


def read_mono(path: Path, header: WavHeader) -> Samples:
    """All samples, −1 to 1, channels averaged: shape `(frames,)`."""
    data = np.fromfile(path, dtype=np.uint8, count=header.frames * header.frame_bytes, offset=header.offset)
    samples = _numbers(data.tobytes(), header).reshape(-1, header.channels)
    return samples[:, 0] if header.channels == 1 else samples.mean(axis=1, dtype=np.float32)


def _layout(body: bytes) -> tuple[int, int, int, int]:
    if len(body) < 16:
        raise _not_wav()
    code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
    if code == _EXTENSIBLE and len(body) >= 26:
        code = struct.unpack("<H", body[24:26])[0]
    if (code, bits) not in _KINDS or not 1 <= channels <= 8 or not 4_000 <= rate <= 192_000:
        raise _not_wav()
    return code, channels, rate, bits


def _header(layout: tuple[int, int, int, int], offset: int, length: int) -> WavHeader:
    code, channels, rate, bits = layout
    return WavHeader(rate, channels, code, bits, offset, frames=length // (channels * bits // 8))


def _numbers(data: bytes, header: WavHeader) -> Samples:
    if header.code == _FLOAT:
        floats = np.frombuffer(data, dtype=f"<f{header.bits // 8}").astype(np.float32)
        return np.nan_to_num(floats, nan=0.0, posinf=1.0, neginf=-1.0).clip(-4, 4)
    if header.bits == 8:
        return (np.frombuffer(data, dtype=np.uint8).astype(np.float32) - np.float32(128)) / np.float32(128)
    if header.bits == 24:
        wide = np.zeros((len(data) // 3, 4), dtype=np.uint8)
        wide[:, 1:] = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
        return wide.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
    whole = np.frombuffer(data, dtype=f"<i{header.bits // 8}").astype(np.float32)
    return whole / np.float32(2 ** (header.bits - 1))


def _not_wav() -> InvalidInput:
    return InvalidInput("A clip is not a WAV file.", reason="clip_not_wav")
