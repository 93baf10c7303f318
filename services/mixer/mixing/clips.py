"""Prepares clips: fetched, set to their speed with the pitch kept, brought to 48 kHz mono, put into a scratch file."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import signal

from onevoice_kit.errors import InvalidInput
from onevoice_kit.media_exec import Command, Ffmpeg, Input, MediaFile, Output, Workspace
from onevoice_kit.storage.base import Storage
from services.mixer.mixing.blocks import RATE, Samples
from services.mixer.mixing.levels import levels_of_clip
from services.mixer.mixing.plan import Clip, out_of_range
from services.mixer.mixing.voice import Placed
from services.mixer.mixing.wav import WavHeader, read_header, read_mono
from services.mixer.progress import Report

BATCH = 48
"""Clips fetched and written together at most."""
SMALLEST_BATCH = 4
"""Fewer clips are stretched sooner than another process starts."""
AT_ONCE = 24
"""Clips that one process stretches at most: its start then costs each clip little, and its memory stays small."""
MAX_CLIP_S = 300
SLACK = RATE // 1000
"""Samples by which rounding to milliseconds may put an end over the edge."""


@dataclass(frozen=True, slots=True)
class _Opened:
    number: int
    clip: Clip
    path: Path
    header: WavHeader

    @property
    def length(self) -> int:
        """Samples at 48 kHz once prepared."""
        return placed_length(self.header, self.clip.speed)


class ClipPreparer:
    """Prepares the clips of one mix into the scratch file."""

    def __init__(self, storage: Storage, ffmpeg: Ffmpeg, workspace: Workspace, scratch: int, total: int) -> None:
        """`scratch` is the open scratch file's descriptor; `total` the length of the mix, samples."""
        self._storage = storage
        self._ffmpeg = ffmpeg
        self._workspace = workspace
        self._scratch = scratch
        self._total = total
        self._written = 0
        self._filter = ""

    async def prepare(self, clips: Sequence[Clip], report: Report) -> list[Placed]:
        """
        All clips, in their order. Raises `InvalidInput` with reason `clip_not_wav`, `clip_too_long` or
        `clip_out_of_range`.
        """
        self._filter = "rubberband=tempo" if await self._ffmpeg.has_filter("rubberband") else "atempo"
        cores = os.cpu_count() or 1
        # One more than there are cores: while one batch is fetched or written the others keep the cores busy.
        places = asyncio.Semaphore(cores + 1)
        size = _batch_size(len(clips), cores)
        placed: dict[int, Placed] = {}

        async def batch(first: int) -> None:
            async with places:
                placed.update(await self._batch(first, clips[first : first + size]))
                report(len(placed) / len(clips))

        try:
            async with asyncio.TaskGroup() as group:
                for first in range(0, len(clips), size):
                    group.create_task(batch(first))
        except* InvalidInput as errors:
            raise _first(errors) from None
        return [placed[number] for number in range(len(clips))]

    async def _batch(self, first: int, clips: Sequence[Clip]) -> dict[int, Placed]:
        async with AsyncExitStack() as stack:
            paths = await asyncio.gather(
                *(stack.enter_async_context(self._storage.open_local(clip.audio)) for clip in clips)
            )
            opened = await asyncio.to_thread(self._open, first, clips, paths)
            changed = [one for one in opened if one.clip.speed != 1.0]
            stretched: dict[int, MediaFile] = {}
            for begin in range(0, len(changed), AT_ONCE):
                stretched |= await self._stretch(changed[begin : begin + AT_ONCE])
            offsets = [self._reserve(one.length) for one in opened]
            return await asyncio.to_thread(self._write, opened, stretched, offsets)

    def _open(self, first: int, clips: Sequence[Clip], paths: Sequence[Path]) -> list[_Opened]:
        opened = []
        for number, (clip, path) in enumerate(zip(clips, paths, strict=True), start=first):
            one = _Opened(number, clip, path, read_header(path))
            if one.header.frames > MAX_CLIP_S * one.header.rate:
                raise InvalidInput(f"Clip {number} is longer than {MAX_CLIP_S} seconds.", reason="clip_too_long")
            if not in_range(clip.start_ms, one.length, self._total):
                raise out_of_range(number)
            opened.append(one)
        return opened

    async def _stretch(self, opened: Sequence[_Opened]) -> dict[int, MediaFile]:
        """Clips at their speed, in files of raw mono samples at their own rate, by the clip's number."""
        files = {one.number: self._workspace.new("f32") for one in opened}
        inputs = tuple(Input(self._workspace.link(one.path), own="wav") for one in opened)
        outputs = tuple(
            Output(files[one.number], ("-map", f"{place}:a:0", "-af", self._chain(one), *_RAW))
            for place, one in enumerate(opened)
        )
        await self._ffmpeg.run(Command(inputs, outputs), self._workspace)
        return files

    def _chain(self, one: _Opened) -> str:
        return f"aformat=channel_layouts=mono,{self._filter}={one.clip.speed:.6f}"

    def _reserve(self, length: int) -> int:
        offset, self._written = self._written, self._written + length
        return offset

    def _write(
        self, opened: Sequence[_Opened], stretched: dict[int, MediaFile], offsets: Sequence[int]
    ) -> dict[int, Placed]:
        placed = {}
        for one, offset in zip(opened, offsets, strict=True):
            samples = _spoken(one, stretched.get(one.number))
            start = one.clip.start_ms * RATE // 1000
            os.pwrite(self._scratch, samples.tobytes(), offset * 4)
            length = min(one.length, self._total - start)
            placed[one.number] = Placed(start, length, offset, levels_of_clip(samples, start))
        return placed


def _batch_size(clips: int, cores: int) -> int:
    """Clips of one batch: a short dub, too, keeps every core busy."""
    return min(BATCH, max(SMALLEST_BATCH, -(-clips // cores)))


_RAW = ("-c:a", "pcm_f32le", "-f", "f32le")


def placed_length(header: WavHeader, speed: float) -> int:
    """
    Samples at 48 kHz of a clip once it is played at exactly `speed`. The one rule: the planner of clips uses it too,
    so no speed is rounded here, however near to 1.
    """
    return round(header.frames * RATE / header.rate / speed)


def in_range(start_ms: int, length: int, total: int) -> bool:
    """A clip of `length` samples that starts there ends within a mix of `total` samples, or `SLACK` after it."""
    return start_ms * RATE // 1000 + length <= total + SLACK


def _spoken(one: _Opened, stretched: MediaFile | None) -> Samples:
    """The prepared clip at exactly its length, with its gain."""
    if stretched is None:
        samples = read_mono(one.path, one.header)
    else:
        samples = np.fromfile(stretched.path, dtype="<f4")
        stretched.path.unlink()
    if one.header.rate != RATE and len(samples):
        factor = math.gcd(RATE, one.header.rate)
        samples = signal.resample_poly(samples, RATE // factor, one.header.rate // factor)
    exact = np.zeros(one.length, dtype=np.float32)
    exact[: len(samples)] = samples[: one.length]
    return exact * np.float32(10 ** (one.clip.gain_db / 20))


def _first(errors: BaseExceptionGroup[InvalidInput]) -> BaseException:
    """One error of a group, which may hold groups."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
