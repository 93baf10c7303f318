"""Engine `whisper`: identifies the language by the model that the engine `whisper` recognises with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from onevoice_kit.errors import InvalidInput, Unavailable
from services.asr.audio import SAMPLE_RATE, AudioFile, Samples
from services.asr.engines import whisper
from services.asr.engines.base import Capabilities, SpokenLanguage, TimeRange
from services.asr.engines.whisper_model import IDENTIFIED_S, MODELS, Loading, WhisperModel
from services.asr.settings import AsrSettings

WINDOWS = 3
"""Windows of sound that decide: a film may begin with a song, or with a guest from another country."""
_TAGS = {code: tag for tag, code in whisper.LANGUAGES.items()}
"""BCP-47 by the code of the model."""


class WhisperLanguage:
    """The engine `whisper` for languages; shares the loaded model with the one for words."""

    def __init__(self, loading: Loading) -> None:
        self._loading = loading
        self._words = whisper.Whisper(loading)
        self._model: WhisperModel | None = None
        self._closed = False

    async def describe(self) -> Capabilities:
        """As the one for words; a model of English alone identifies nothing."""
        words = await self._words.describe()
        missing = words.missing or ("" if len(words.languages) > 1 else "The Whisper model has English alone.")
        return replace(words, missing=missing)

    async def warm(self) -> None:
        """Loads the model."""
        self._model = await asyncio.to_thread(MODELS.get, self._loading)

    async def identify(self, audio: Path, regions: Sequence[TimeRange]) -> SpokenLanguage:
        """As the protocol has it; the mean of the probabilities of up to `WINDOWS` windows decides."""
        if self._closed:
            raise Unavailable("Speech recognition is shutting down.", reason="shutting_down")
        return await asyncio.to_thread(self._identify, audio, regions)

    async def close(self) -> None:
        """Lets go of the model."""
        self._closed = True
        self._model = None
        await self._words.close()

    def _identify(self, audio: Path, regions: Sequence[TimeRange]) -> SpokenLanguage:
        with AudioFile(audio) as file:
            sounds = [_sound(file, group) for group in windows(regions)]
        sounds = [sound for sound in sounds if sound.size]
        if not sounds:
            raise InvalidInput("The regions begin after the audio ends.", reason="invalid_regions")
        model = self._model = self._model or MODELS.get(self._loading)
        scores = model.languages(sounds)
        found = {_TAGS.get(code, code): min(1.0, score) for code, score in scores.items()}
        language = max(found, key=lambda tag: found[tag])
        return SpokenLanguage(language, found.pop(language), found)


def create(settings: AsrSettings) -> WhisperLanguage:
    """The engine as the settings want it."""
    return WhisperLanguage(whisper.loading(settings))


def windows(regions: Sequence[TimeRange]) -> list[list[TimeRange]]:
    """Groups of regions, each at most a window long, from the begin, the middle and the end of what is spoken."""
    longest_ms = IDENTIFIED_S * 1000
    groups: list[list[TimeRange]] = []
    filled_ms = longest_ms
    for region in regions:
        cut = TimeRange(region.start_ms, min(region.end_ms, region.start_ms + longest_ms))
        if filled_ms + cut.length_ms > longest_ms:
            groups.append([])
            filled_ms = 0
        groups[-1].append(cut)
        filled_ms += cut.length_ms
    if len(groups) <= WINDOWS:
        return groups
    return [groups[place * (len(groups) - 1) // (WINDOWS - 1)] for place in range(WINDOWS)]


def _sound(file: AudioFile, group: Sequence[TimeRange]) -> Samples:
    sound: Samples = np.concatenate([file.range(region.start_ms, region.end_ms) for region in group])
    return sound[: IDENTIFIED_S * SAMPLE_RATE]
