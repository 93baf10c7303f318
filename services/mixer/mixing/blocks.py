"""The grid that sound is worked on in, and samples from a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

RATE = 48_000
"""Samples a second of everything that is mixed."""
BLOCK = 2 * RATE
"""Samples worked on at a time: a whole number of loudness hops."""
CHANNELS = 2


def blocks(total: int) -> Iterator[tuple[int, int]]:
    """`(begin, end)` of each block of `total` samples; the last may be short."""
    for begin in range(0, total, BLOCK):
        yield begin, min(begin + BLOCK, total)


class Reader(Protocol):
    """A source of samples: a running decoder, a file."""

    def read(self, count: int, /) -> bytes:
        """The next bytes; fewer than `count` only at the end."""
        ...


def stereo_blocks(stream: Reader) -> Iterator[Samples]:
    """All stereo samples of a stream in blocks, shape `(n, 2)`; the last may be short."""
    while data := stream.read(BLOCK * CHANNELS * 4):
        yield np.frombuffer(data[: len(data) // 8 * 8], dtype="<f4").reshape(-1, CHANNELS)


def read_block(stream: Reader, frames: int) -> Samples:
    """The next stereo samples, shape `(frames, 2)`; silence after the end of the stream."""
    data = stream.read(frames * CHANNELS * 4)
    samples = np.frombuffer(data[: len(data) // 8 * 8], dtype="<f4").reshape(-1, CHANNELS)
    if len(samples) == frames:
        return samples
    return np.concatenate([samples, np.zeros((frames - len(samples), CHANNELS), dtype=np.float32)])
