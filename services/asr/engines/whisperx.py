"""Engine `whisperx`: Whisper with times of words by alignment, and speakers by pyannote, on a GPU or a CPU."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from threading import Event
from typing import TypeVar

import numpy as np

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.engines.vendor import variant
from onevoice_kit.errors import Cancelled, InvalidInput, PreconditionFailed, Unavailable
from onevoice_kit.languages import best
from services.asr.audio import AudioFile, Samples
from services.asr.engines.base import Capabilities, Conversation, TimeRange, Utterance
from services.asr.engines.context import with_context
from services.asr.engines.vendor_regions import spoken
from services.asr.engines.whisper import within
from services.asr.engines.whisper_model import MAX_REGION_MS, TimedWord
from services.asr.engines.whisperx_model import MODELS, PACKAGE, Loading, Sound, Stretch, WhisperXModels
from services.asr.settings import AsrSettings

NAME = "whisperx"
_TAGS = {"tl": "fil"}
_CODES = (
    "ar ca cs da de el en es eu fa fi fr gl he hi hr hu id it ja ka ko lv ml nl nn no pl pt ro ru sk sl sv te tl tr "
    "uk ur vi zh"
)
LANGUAGES = {_TAGS.get(code, code): code for code in _CODES.split()}
"""WhisperX's code by BCP-47 tag, of the languages for which it has a model for alignment."""
_CONTEXT_MS = 100
_WHOLE_MS = 4 * 3_600_000
"""Longest audio for words and speakers in one call; an hour of it occupies 230 MB."""
T = TypeVar("T")


class WhisperX:
    """The engine `whisperx`; the models are loaded when first needed and shared by everything in the process."""

    def __init__(self, loading: Loading) -> None:
        self._loading = loading
        self._threads = ThreadPoolExecutor(1, thread_name_prefix=NAME)
        self._models: WhisperXModels | None = None
        self._closed = False

    async def describe(self) -> Capabilities:
        settings = {"aligners": self._loading.aligners, "speakers": self._loading.speakers}
        model = PurePosixPath(self._loading.model).name
        return Capabilities(
            info=EngineInfo(NAME, model, f"{_version()}-{variant(**settings)}"),
            languages=tuple(LANGUAGES),
            max_chunk_ms=MAX_REGION_MS,
            max_audio_ms=_WHOLE_MS,
            missing=await asyncio.to_thread(PACKAGE.missing),
        )

    async def warm(self) -> None:
        """Loads the Whisper model; those for alignment and speakers are loaded by the first call that needs them."""
        await self._run(self._loaded)

    async def transcribe(self, audio: Path, regions: Sequence[TimeRange], language: str) -> AsyncGenerator[Utterance]:
        """As the protocol has it; a few regions are one batch."""
        code = LANGUAGES[best(language, LANGUAGES) or "en"]
        pairs = list(zip(regions, with_context(regions, _CONTEXT_MS), strict=True))
        size = self._loading.batch
        for start in range(0, len(pairs), size):
            for utterance in await self._run(partial(self._batch, audio, pairs[start : start + size], code)):
                yield utterance

    async def recognise(self, audio: Path, language: str, count: int) -> Conversation:
        """As the protocol has it. A call that is cancelled ends after the part that is being computed."""
        code = LANGUAGES[best(language, LANGUAGES) or "en"]
        given_up = Event()
        try:
            return await self._run(partial(self._conversation, audio, code, count, given_up))
        finally:
            given_up.set()

    async def close(self) -> None:
        """Drops what waits, lets the running part end, lets go of the models."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        self._models = None

    async def _run(self, work: Callable[[], T]) -> T:
        """The result of work in the engine's thread. A call that is cancelled drops work that has not begun."""
        if self._closed:
            raise Unavailable("Speech recognition is shutting down.", reason="shutting_down")
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _loaded(self) -> WhisperXModels:
        if self._models is None:
            if missing := PACKAGE.missing():
                raise PreconditionFailed(missing, reason="engine_unavailable", details={"engine": NAME})
            self._models = MODELS.get(self._loading)
        return self._models

    def _batch(self, audio: Path, batch: Sequence[tuple[TimeRange, TimeRange]], code: str) -> list[Utterance]:
        with AudioFile(audio) as file:
            sounds = [_sound(file.range(heard.start_ms, heard.end_ms)) for _, heard in batch]
        models = self._loaded()
        found = []
        for (region, heard), sound, text in zip(batch, sounds, models.texts(sounds, code), strict=True):
            words = models.words(sound, Stretch(0.0, heard.length_ms / 1000, text), code)
            found.append(Utterance(region, tuple(within(region, heard.start_ms, words))))
        return found

    def _conversation(self, audio: Path, code: str, count: int, given_up: Event) -> Conversation:
        with AudioFile(audio) as file:
            sound, length_ms = _sound(file.block(-1)), file.size_ms
        models, words = self._loaded(), list[TimedWord]()
        for stretch in models.stretches(sound, code):
            _check(given_up)
            words += models.words(sound, stretch, code)
        _check(given_up)
        turns = models.speakers(sound, count)
        return Conversation(spoken(words, models.assign(turns, words)), length_ms)


def create(settings: AsrSettings) -> WhisperX:
    """The engine as the settings want it."""
    return WhisperX(loading(settings))


def loading(settings: AsrSettings) -> Loading:
    """
    The models that the settings want. Raises `InvalidInput` (reason `invalid_setting`) for an aligner without a
    language.
    """
    aligners = [tuple(one.split("=", 1)) for one in settings.whisperx_aligners]
    if any(len(one) != 2 or one[0] not in LANGUAGES.values() for one in aligners):
        raise InvalidInput("WHISPERX_ALIGNERS has an entry that is not LANGUAGE=MODEL.", reason="invalid_setting")
    return Loading(
        settings.whisperx_model,
        settings.whisperx_device,
        settings.whisperx_compute_type,
        settings.whisperx_batch,
        tuple((language, model) for language, model in aligners),
        settings.whisperx_speakers,
        settings.whisperx_token.get_secret_value(),
    )


def _sound(samples: Samples) -> Sound:
    if not samples.size:
        raise InvalidInput("A region begins after the audio ends.", reason="invalid_regions")
    return samples.astype(np.float32) / np.float32(32768)


def _check(given_up: Event) -> None:
    if given_up.is_set():
        raise Cancelled("The call was given up.", reason="cancelled")


@cache
def _version() -> str:
    try:
        return version("whisperx")
    except PackageNotFoundError:
        return "0"
