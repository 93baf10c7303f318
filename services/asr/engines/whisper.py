"""Engine `whisper`: Whisper by faster-whisper and CTranslate2; some hundred languages, with punctuation and case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.errors import InvalidInput, Unavailable
from onevoice_kit.languages import best
from services.asr.audio import AudioFile, Samples
from services.asr.engines.base import Capabilities, TimeRange, Utterance, Word
from services.asr.engines.context import with_context
from services.asr.engines.whisper_model import (
    MAX_REGION_MS,
    MODELS,
    RUNTIME,
    WHISPER_BASE,
    Loading,
    TimedWord,
    WhisperModel,
)
from services.asr.settings import AsrSettings

NAME = "whisper"
_CODES = (
    "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy id "
    "is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru sa sd si "
    "sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo zh"
)
_TAGS = {"jw": "jv", "tl": "fil"}
"""Languages that the model has by another code than BCP-47's."""
LANGUAGES = {_TAGS.get(code, code): code for code in _CODES.split()}
"""The model's code by BCP-47 tag."""
_CONTEXT_MS = 100
_BATCH = 4
"""Regions that are computed together; a call with more of them keeps several threads busy."""


class Whisper:
    """The engine `whisper`; the model is loaded when first needed and shared by everything in the process."""

    def __init__(self, loading: Loading) -> None:
        self._loading = loading
        self._languages = {"en": "en"} if loading.model.endswith(".en") else LANGUAGES
        self._threads = ThreadPoolExecutor(loading.threads, thread_name_prefix=NAME)
        self._model: WhisperModel | None = None
        self._closed = False

    async def describe(self) -> Capabilities:
        needed = RUNTIME if self._loading.model else WHISPER_BASE
        return Capabilities(
            info=EngineInfo(NAME, _model_name(self._loading), _version()),
            languages=tuple(self._languages),
            max_chunk_ms=MAX_REGION_MS,
            missing=await asyncio.to_thread(needed.missing),
        )

    async def warm(self) -> None:
        """Loads the model."""
        await asyncio.to_thread(self._loaded)

    async def transcribe(self, audio: Path, regions: Sequence[TimeRange], language: str) -> AsyncGenerator[Utterance]:
        """As the protocol has it; a few regions are one batch, and batches are computed by several threads."""
        code = self._languages[best(language, self._languages) or "en"]
        loop = asyncio.get_running_loop()
        pairs = list(zip(regions, with_context(regions, _CONTEXT_MS), strict=True))
        batches = [pairs[start : start + _BATCH] for start in range(0, len(pairs), _BATCH)]
        if self._closed:
            raise Unavailable("Speech recognition is shutting down.", reason="shutting_down")
        running = [loop.run_in_executor(self._threads, self._recognise, audio, batch, code) for batch in batches]
        try:
            for batch in running:
                for utterance in await batch:
                    yield utterance
        finally:
            for batch in running:
                batch.cancel()
                batch.add_done_callback(_retrieve_error)

    async def close(self) -> None:
        """Drops what waits, lets running batches end, lets go of the model."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        self._model = None

    def _loaded(self) -> WhisperModel:
        model = self._model
        if model is None:
            model = self._model = MODELS.get(self._loading)
        return model

    def _recognise(self, audio: Path, batch: Sequence[tuple[TimeRange, TimeRange]], code: str) -> list[Utterance]:
        with AudioFile(audio) as file:
            sounds = [_sound(file, heard) for _, heard in batch]
        found = self._loaded().words(sounds, code)
        return [
            Utterance(region, tuple(within(region, heard.start_ms, words)))
            for (region, heard), words in zip(batch, found, strict=True)
        ]


def create(settings: AsrSettings) -> Whisper:
    """The engine as the settings want it."""
    return Whisper(loading(settings))


def loading(settings: AsrSettings) -> Loading:
    """The model that the settings want."""
    return Loading(settings.whisper_model, settings.whisper_device, settings.whisper_compute_type, settings.workers)


def within(region: TimeRange, offset_ms: int, words: Sequence[TimedWord]) -> list[Word]:
    """Words on the timeline of the source: inside their region, in order, none without length, none overlapping."""
    starts, ends, last = [], [], region.start_ms
    for word in words:
        starts.append(max(last, offset_ms + word.start_ms))
        ends.append(max(starts[-1] + 1, offset_ms + word.end_ms))
        last = ends[-1]
    last = region.end_ms
    for place in reversed(range(len(words))):
        ends[place] = min(ends[place], last)
        starts[place] = last = min(starts[place], ends[place] - 1)
    return [
        Word(word.text, start, end, confidence=min(1.0, max(0.0, word.confidence)))
        for word, start, end in zip(words, starts, ends, strict=True)
    ]


def _sound(file: AudioFile, heard: TimeRange) -> Samples:
    samples = file.range(heard.start_ms, heard.end_ms)
    if not samples.size:
        raise InvalidInput("A region begins after the audio ends.", reason="invalid_regions")
    return samples


def _retrieve_error(future: asyncio.Future[list[Utterance]]) -> None:
    """Retrieves the error of a batch that is not awaited any more; asyncio would report it otherwise."""
    if not future.cancelled():
        future.exception()


def _model_name(loading: Loading) -> str:
    """For the lineage: the model, and the arithmetic where it is set."""
    name = PurePosixPath(loading.model).name if loading.model else "base"
    return f"{name} ({loading.compute_type})" if loading.compute_type else name


@cache
def _version() -> str:
    try:
        return version("faster-whisper")
    except PackageNotFoundError:
        return ""
