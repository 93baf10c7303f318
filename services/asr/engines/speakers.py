"""Engine `speakers`: finds which voice speaks when, by a speaker model, and the pitch and gender of each voice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.errors import InvalidInput, Unavailable
from services.asr.audio import SAMPLES_PER_MS, AudioFile, Samples
from services.asr.engines.base import Capabilities, Diarized, TimeRange, Turn
from services.asr.engines.speakers_clusters import Floats, Rules, decide, voices
from services.asr.engines.speakers_model import D_VECTOR, MODELS, WINDOW_MS, SpeakerModel, is_narrow
from services.asr.engines.speakers_pitch import described
from services.asr.settings import AsrSettings

NAME = "speakers"
STEP_MS = 200
_LEVEL_MS = 10
_NEAR_MS = 300
"""A change of the voice is put into the weakest sound within this distance."""
_JUDGED_MS = 20_000
"""Speech by which a telephone is recognised."""


@dataclass(frozen=True, slots=True)
class _Heard:
    """A region as the model takes it."""

    vectors: Floats
    levels: Floats
    """Mean square of the samples in each 10 ms, smoothed over 50 ms."""


class Speakers:
    """The engine `speakers`; the model is loaded when first needed and shared by everything in the process."""

    reads_audio = True

    def __init__(self, threads: int, rules: Rules | None = None) -> None:
        self._rules = rules or Rules()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=NAME)
        self._model: SpeakerModel | None = None
        self._closed = False

    async def describe(self) -> Capabilities:
        missing = await asyncio.to_thread(D_VECTOR.missing)
        return Capabilities(info=EngineInfo(NAME, "d-vector int8", "1"), missing=missing)

    async def warm(self) -> None:
        """Loads the model."""
        await asyncio.to_thread(self._loaded)

    async def diarize(self, audio: Path | None, regions: Sequence[TimeRange], count: int) -> Diarized:
        """As the protocol has it; the regions are computed by several threads."""
        if audio is None:
            raise InvalidInput("The engine “speakers” needs the audio.", reason="invalid_audio")
        if self._closed:
            raise Unavailable("Speech recognition is shutting down.", reason="shutting_down")
        loop = asyncio.get_running_loop()
        narrow = await loop.run_in_executor(self._threads, _narrow, audio, regions)
        running = [loop.run_in_executor(self._threads, self._hear, audio, region, narrow) for region in regions]
        try:
            heard = await asyncio.gather(*running)
        finally:
            for one in running:
                one.cancel()
                one.add_done_callback(_retrieve_error)
        return await loop.run_in_executor(self._threads, self._diarized, audio, regions, heard, count)

    async def close(self) -> None:
        """Drops what waits, lets running regions end, lets go of the model."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        self._model = None

    def _loaded(self) -> SpeakerModel:
        model = self._model
        if model is None:
            model = self._model = MODELS.get(NAME)
        return model

    def _hear(self, audio: Path, region: TimeRange, narrow: bool) -> _Heard:
        with AudioFile(audio) as file:
            sound = file.range(region.start_ms, region.end_ms)
        if not sound.size:
            raise InvalidInput("A region begins after the audio ends.", reason="invalid_regions")
        return _Heard(self._loaded().vectors(sound, STEP_MS, narrow), _levels(sound))

    def _diarized(self, audio: Path, regions: Sequence[TimeRange], heard: Sequence[_Heard], count: int) -> Diarized:
        vectors = [one.vectors for one in heard]
        found = voices(vectors, self._rules, count)
        labels = decide(vectors, found, self._rules)
        spans = [
            span
            for region, one, path in zip(regions, heard, labels, strict=True)
            for span in _spans(region, one.levels, path)
        ]
        order = list(dict.fromkeys(voice for _, voice in spans))
        names = {voice: f"speaker_{place}" for place, voice in enumerate(order, start=1)}
        turns = tuple(Turn(span, names[voice]) for span, voice in spans)
        return Diarized(turns, described(audio, turns))


def create(settings: AsrSettings) -> Speakers:
    """The engine as the settings want it."""
    return Speakers(settings.workers)


def _retrieve_error(future: asyncio.Future[_Heard]) -> None:
    """Retrieves the error of a region that is not awaited any more; asyncio would report it otherwise."""
    if not future.cancelled():
        future.exception()


def _narrow(audio: Path, regions: Sequence[TimeRange]) -> bool:
    """True where the first speech is that of a telephone."""
    sounds: list[Samples] = []
    with AudioFile(audio) as file:
        for region in regions:
            sounds.append(file.range(region.start_ms, region.end_ms))
            if sum(sound.size for sound in sounds) >= _JUDGED_MS * SAMPLES_PER_MS:
                break
    sound = np.concatenate(sounds)
    return is_narrow(np.resize(sound, max(sound.size, SAMPLES_PER_MS * WINDOW_MS)))


def _levels(sound: Samples) -> Floats:
    size = _LEVEL_MS * SAMPLES_PER_MS
    frames = np.pad(sound.astype(np.float32), (0, -sound.size % size)).reshape(-1, size)
    smooth: Floats = np.convolve(np.square(frames).mean(axis=1), np.full(5, 0.2, np.float32), mode="same")
    return smooth


def _spans(region: TimeRange, levels: Floats, labels: NDArray[np.intp]) -> list[tuple[TimeRange, int]]:
    """The stretches of a region by voice; together they are the region."""
    runs = [(int(voice), len(list(run))) for voice, run in groupby(labels)]
    cuts, done = [region.start_ms], 0
    for _, length in runs[:-1]:
        done += length
        # Halfway between the middles of the last window of one voice and the first of the next.
        middle = region.start_ms + (WINDOW_MS + STEP_MS * (2 * done - 1)) // 2
        cuts.append(_weakest(region, levels, cuts[-1], middle))
    cuts.append(region.end_ms)
    return [(TimeRange(start, end), voice) for (start, end), (voice, _) in zip(pairwise(cuts), runs, strict=True)]


def _weakest(region: TimeRange, levels: Floats, after_ms: int, middle_ms: int) -> int:
    """The time of the weakest sound near `middle_ms`, after the last cut and within the region."""
    low = max(after_ms + _LEVEL_MS, middle_ms - _NEAR_MS)
    high = min(region.end_ms - _LEVEL_MS, middle_ms + _NEAR_MS)
    first = (low - region.start_ms) // _LEVEL_MS
    last = max(first + 1, (high - region.start_ms) // _LEVEL_MS)
    return region.start_ms + (first + int(np.argmin(levels[first:last]))) * _LEVEL_MS + _LEVEL_MS // 2
