"""WAV read without a process."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from onevoice_kit.errors import InvalidInput
from services.mixer.mixing.wav import read_header, read_mono

WAVE = np.array([0.0, 0.5, -0.5, 0.25, -1.0])


def written(path: Path, body: bytes, code: int, bits: int, channels: int = 1, *, extra: bytes = b"") -> Path:
    frame = channels * bits // 8
    layout = struct.pack("<HHIIHH", code, channels, 24_000, 24_000 * frame, frame, bits) + extra
    chunks = b"LIST\x03\x00\x00\x00abc\x00" + b"fmt " + struct.pack("<I", len(layout)) + layout
    chunks += b"data" + struct.pack("<I", len(body)) + body
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    return path


def read(path: Path) -> np.ndarray:
    return read_mono(path, read_header(path))


def three_bytes() -> bytes:
    return b"".join(int(value * (2**23 - 1)).to_bytes(3, "little", signed=True) for value in WAVE)


@pytest.mark.parametrize(
    ("code", "bits", "body"),
    [
        (1, 8, (WAVE * 127 + 128).astype(np.uint8).tobytes()),
        (1, 16, (WAVE * 32767).astype("<i2").tobytes()),
        (1, 24, three_bytes()),
        (1, 32, (WAVE * (2**31 - 1)).astype("<i4").tobytes()),
        (3, 32, WAVE.astype("<f4").tobytes()),
        (3, 64, WAVE.astype("<f8").tobytes()),
    ],
)
def test_every_plain_kind_gives_the_same_samples(tmp_path, code, bits, body):
    samples = read(written(tmp_path / "a.wav", body, code, bits))
    assert samples.dtype == np.float32
    assert np.allclose(samples, WAVE, atol=0.01)


def test_channels_are_averaged(tmp_path):
    body = np.column_stack([WAVE, -WAVE]).astype("<f4").tobytes()
    assert np.allclose(read(written(tmp_path / "a.wav", body, 3, 32, channels=2)), 0.0)


def test_the_extensible_header_is_understood(tmp_path):
    extra = struct.pack("<HHIH", 22, 16, 4, 1) + b"\x00" * 14
    body = (WAVE * 32767).astype("<i2").tobytes()
    assert np.allclose(read(written(tmp_path / "a.wav", body, 0xFFFE, 16, extra=extra)), WAVE, atol=0.01)


def test_a_length_that_was_never_filled_in_means_to_the_end(tmp_path):
    path = written(tmp_path / "a.wav", (WAVE * 32767).astype("<i2").tobytes(), 1, 16)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"data" + struct.pack("<I", 10), b"data\xff\xff\xff\xff"))
    assert len(read(path)) == 5


def test_numbers_that_are_none_become_silence(tmp_path):
    path = written(tmp_path / "a.wav", np.array([np.nan, np.inf, 0.5], dtype="<f4").tobytes(), 3, 32)
    assert np.array_equal(read(path), np.array([0.0, 1.0, 0.5], dtype=np.float32))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"RIFF",
        b"ID3 not a wave file at all",
        b"RIFF\x04\x00\x00\x00WAVE",
        b"RIFF\x04\x00\x00\x00WAVEdata\x04\x00\x00\x00abcd",
        b"RIFF\x04\x00\x00\x00WAVEfmt \x04\x00\x00\x00abcd",
        b"RIFF\x04\x00\x00\x00WAVEfmt \x10\x00\x00\x00" + struct.pack("<HHIIHH", 85, 1, 24000, 0, 1, 16),
        b"RIFF\x04\x00\x00\x00WAVEfmt \x10\x00\x00\x00" + struct.pack("<HHIIHH", 1, 0, 24000, 0, 1, 16),
    ],
)
def test_anything_else_is_refused(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        read(path)
    assert caught.value.reason == "clip_not_wav"
