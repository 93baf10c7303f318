"""Engine `deepgram`: recognition by Deepgram, of regions or of a whole audio with its speakers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, Field, TypeAdapter

from onevoice_kit.engines.base import EngineInfo, Price, Unit
from onevoice_kit.engines.clients import deepgram_client
from onevoice_kit.engines.vendor import variant
from onevoice_kit.languages import best
from services.asr.engines.base import Capabilities, Conversation
from services.asr.engines.vendor_regions import WHOLE_MS, Seconds, VendorRecognition, spoken, whole
from services.asr.engines.whisper_model import TimedWord
from services.asr.settings import AsrSettings

NAME = "deepgram"
_PRICES = {"nova-3": (Price(usd=Decimal("0.0077"), unit=Unit.MINUTE),)}
"""By model; without a plan's discount, as of 2026-11."""
_CODES = "bg ca cs da nl en et fi fr de el hi hu id it ja ko lv lt ms no pl pt ro ru sk es sv tr uk vi"
LANGUAGES = tuple(_CODES.split())
"""Of the model `nova-3`: BCP-47, which are the vendor's own codes."""


class _Word(BaseModel):
    word: str
    punctuated_word: str | None = None
    start: Seconds
    end: Seconds
    confidence: float
    speaker: int | None = None


class _Alternative(BaseModel):
    words: list[_Word] | None = None


class _Channel(BaseModel):
    alternatives: list[_Alternative] = Field(min_length=1)


class _Results(BaseModel):
    channels: list[_Channel] = Field(min_length=1)


class _Reply(BaseModel):
    results: _Results


_REPLY = TypeAdapter(_Reply)


def create(settings: AsrSettings) -> Deepgram:
    """The engine as the settings want it."""
    return Deepgram(settings)


class Deepgram(VendorRecognition):
    """The engine `deepgram`."""

    languages: ClassVar = {code: code for code in LANGUAGES}

    def __init__(self, settings: AsrSettings) -> None:
        super().__init__(NAME, settings, deepgram_client)

    async def describe(self) -> Capabilities:
        return Capabilities(
            info=EngineInfo(
                NAME,
                self._settings.deepgram_asr_model,
                variant(),
                prices=self._settings.prices("asr", NAME, _PRICES.get(self._settings.deepgram_asr_model)),
            ),
            languages=LANGUAGES,
            max_audio_ms=WHOLE_MS,
            missing=self._vendor.missing(self._settings.deepgram_api_key, "DEEPGRAM_API_KEY", "deepgram"),
        )

    async def recognise(self, audio: Path, language: str, count: int) -> Conversation:  # noqa: ARG002
        """As the protocol has it; the vendor takes no number of speakers."""
        sound, length_ms = await asyncio.to_thread(whole, audio)
        code = self.languages[best(language, self.languages) or "en"]
        words = await self._listen(code, sound, self._long_call(length_ms), diarize=True)
        speakers = ["" if word.speaker is None else str(word.speaker) for word in words]
        return Conversation(spoken(list(map(_timed, words)), speakers), length_ms)

    async def _ask(self, code: str, sound: bytes, _length_ms: int) -> Sequence[TimedWord]:
        return list(map(_timed, await self._listen(code, sound, self._vendor.call(), diarize=None)))

    async def _listen(
        self, code: str, sound: bytes, call: AbstractAsyncContextManager[None], *, diarize: bool | None
    ) -> list[_Word]:
        async with call:
            answer = await self._client.get().listen.v1.media.transcribe_file(
                request=sound,
                model=self._settings.deepgram_asr_model,
                language=code,
                punctuate=True,
                diarize=diarize,
            )
        words = self._vendor.parse(_REPLY, answer).results.channels[0].alternatives[0].words or ()
        return [word for word in words if word.word.strip()]


def _timed(word: _Word) -> TimedWord:
    text = (word.punctuated_word or word.word).strip()
    return TimedWord(text, round(word.start * 1000), round(word.end * 1000), word.confidence)
