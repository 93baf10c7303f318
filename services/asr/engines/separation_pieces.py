"""Separates a programme of any length piece by piece: in processes of their own, joined without a seam."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.asr.engines.base import Stems
from services.asr.engines.worker_pool import WorkerPool
from services.asr.stereo import CHANNELS, RATE, Programme, StemFiles, Stereo

FADE = RATE // 20
"""Samples before a piece in which it is faded in, and the one before it out."""
NICENESS = 5
"""Added to that of the service: nothing but the mix waits for a separation."""
_AHEAD = 4
"""Pieces for each worker that are begun before the first of them is joined: so much lies on the disk at most."""


@dataclass(frozen=True, slots=True)
class Cutting:
    """The way a programme is cut, samples."""

    length: int
    """Of a piece; the last may be longer or shorter."""
    before: int
    """Sound that a model gets before each piece, at least `FADE`."""
    after: int
    """Sound that it gets after each piece."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a programme, samples from its start."""

    programme: Path
    begin: int
    end: int
    cutting: Cutting
    voice: Path
    """The file for its voice, float32, from `FADE` before its begin."""


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes that separate, and the work of each."""

    workers: int
    load: Callable[[], object]
    """Prepares a process; importable by name."""
    work: Callable[[Piece], None]
    """Computes one piece by `compute`; importable by name."""
    cutting: Cutting


def give_way() -> None:
    """Lets everything else on this machine go first; for the start of a process that separates."""
    os.nice(NICENESS)


def pieces(programme: Path, size: int, cutting: Cutting, folder: Path) -> list[Piece]:
    """The pieces of a programme of `size` samples, in order; a rest shorter than `cutting.before` is no piece."""
    begins = [begin for begin in range(0, size, cutting.length) if not begin or size - begin >= cutting.before]
    ends = [*begins[1:], size]
    return [
        Piece(programme, begin, end, cutting, folder / f"voice-{number}.f32")
        for number, (begin, end) in enumerate(zip(begins, ends, strict=True))
    ]


def compute(piece: Piece, voice_of: Callable[[Stereo], Stereo]) -> None:
    """Writes the voice of a piece; runs in a worker process. `voice_of` gives the voice in a sound, of its length."""
    first = piece.begin - piece.cutting.before
    with Programme(piece.programme) as programme:
        sound = programme.range(first, piece.end + piece.cutting.after)
    voice = voice_of(sound) if sound.any() else sound
    voice[piece.begin - FADE - first : piece.end - first].astype("<f4").tofile(piece.voice)


async def separate(processes: Processes, programme: Path, stems: Stems, report: Callable[[float], None]) -> None:
    """
    Writes the stems of a programme; little of it is in memory at a time. The processes end with the call: what a model
    holds is free for others between jobs. Raises what `Programme`, the work and `WorkerPool.map` raise.
    """
    pool = WorkerPool(processes.workers, processes.load)
    try:
        with await asyncio.to_thread(Programme, programme) as opened, StemFiles(stems.background, stems.voice) as files:
            cut = pieces(programme, opened.size, processes.cutting, stems.background.parent)
            joiner, at_once = _Joiner(opened, files), processes.workers * _AHEAD
            for first in range(0, len(cut), at_once):
                await _join(pool, processes.work, cut[first : first + at_once], joiner, report)
            await asyncio.to_thread(joiner.finish)
    finally:
        # Shielded: the pieces that are being computed end before their folder goes.
        await asyncio.shield(pool.close())


async def _join(
    pool: WorkerPool,
    work: Callable[[Piece], None],
    some: Sequence[Piece],
    joiner: _Joiner,
    report: Callable[[float], None],
) -> None:
    async with aclosing(pool.map(work, some)) as done:
        for piece in some:
            await anext(done)
            await asyncio.to_thread(joiner.add, piece)
            report(piece.end / joiner.size)


class _Joiner:
    """Fades the voices of the pieces into each other and takes the sum out of the programme."""

    def __init__(self, programme: Programme, files: StemFiles) -> None:
        self.size = programme.size
        self._programme = programme
        self._files = files
        self._written = 0
        self._tail = np.zeros((0, CHANNELS), np.float32)
        """The last samples of the piece before, to be faded out."""

    def add(self, piece: Piece) -> None:
        """Takes the next piece."""
        voice = np.fromfile(piece.voice, "<f4").reshape(-1, CHANNELS)
        piece.voice.unlink()
        if len(self._tail):
            rising = np.linspace(0, 1, FADE, dtype=np.float32)[:, None]
            voice[:FADE] = voice[:FADE] * rising + self._tail * (1 - rising)
        else:
            voice = voice[FADE:]
        self._write(voice[: len(voice) - FADE])
        self._tail = voice[len(voice) - FADE :]

    def finish(self) -> None:
        """Writes what is left of the last piece."""
        self._write(self._tail)

    def _write(self, voice: Stereo) -> None:
        end = self._written + len(voice)
        self._files.write(self._programme.range(self._written, end), voice)
        self._written = end
