"""Engine `elevenlabs`: recognition by ElevenLabs Scribe, of regions or of a whole audio with its speakers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, TypeAdapter

from onevoice_kit.engines.base import EngineInfo, Price, Unit
from onevoice_kit.engines.clients import NO_RETRY, elevenlabs_client
from onevoice_kit.engines.vendor import variant
from onevoice_kit.languages import best
from services.asr.engines.base import Capabilities, Conversation
from services.asr.engines.vendor_regions import (
    FILE_NAME,
    MEDIA_TYPE,
    WHOLE_MS,
    Seconds,
    VendorRecognition,
    spoken,
    whole,
)
from services.asr.engines.whisper_model import TimedWord
from services.asr.settings import AsrSettings

NAME = "elevenlabs"
_PRICES = (Price(usd=Decimal("0.22"), unit=Unit.HOUR),)
"""As of 2026-11."""
_CODES = (
    "af am ar hy as ast az be bn bs bg my yue ca ceb ny hr cs da nl en et fil fi fr ff gl lg ka de el gu ha he hi hu "
    "is ig id ga it ja jv kea kn kk km ko ku ky lo lv ln lt luo lb mk ms ml mt mi mr mn ne nso no oc or ps fa pl pt pa "
    "ro ru sr sn sd sk sl so es sw sv ta tg te th tr uk umb ur uz vi cy wo xh zu zh"
)
LANGUAGES = tuple(_CODES.split())
"""BCP-47, which are the vendor's own codes."""


class _Word(BaseModel):
    text: str
    type: str
    start: Seconds | None = None
    end: Seconds | None = None
    logprob: float = -0.7
    speaker_id: str | None = None


class _Reply(BaseModel):
    words: list[_Word]


_REPLY = TypeAdapter(_Reply)


def create(settings: AsrSettings) -> ElevenLabs:
    """The engine as the settings want it."""
    return ElevenLabs(settings)


class ElevenLabs(VendorRecognition):
    """The engine `elevenlabs`."""

    languages: ClassVar = {code: code for code in LANGUAGES}

    def __init__(self, settings: AsrSettings) -> None:
        super().__init__(NAME, settings, elevenlabs_client)

    async def describe(self) -> Capabilities:
        return Capabilities(
            info=EngineInfo(
                NAME,
                self._settings.elevenlabs_asr_model,
                variant(),
                prices=self._settings.prices("asr", NAME, _PRICES),
            ),
            languages=LANGUAGES,
            max_audio_ms=WHOLE_MS,
            missing=self._vendor.missing(self._settings.elevenlabs_api_key, "ELEVENLABS_API_KEY", "elevenlabs"),
        )

    async def recognise(self, audio: Path, language: str, count: int) -> Conversation:
        """As the protocol has it."""
        sound, length_ms = await asyncio.to_thread(whole, audio)
        options = {"diarize": True, **({"num_speakers": count} if count else {})}
        code = self.languages[best(language, self.languages) or "en"]
        words = await self._convert(code, sound, self._long_call(length_ms), options)
        return Conversation(spoken(list(map(_timed, words)), [word.speaker_id or "" for word in words]), length_ms)

    async def _ask(self, code: str, sound: bytes, _length_ms: int) -> Sequence[TimedWord]:
        return list(map(_timed, await self._convert(code, sound, self._vendor.call(), {"diarize": False})))

    async def _convert(
        self, code: str, sound: bytes, call: AbstractAsyncContextManager[None], options: dict[str, Any]
    ) -> list[_Word]:
        """The words of a reply that have times."""
        async with call:
            answer = await self._client.get().speech_to_text.convert(
                model_id=self._settings.elevenlabs_asr_model,
                file=(FILE_NAME, sound, MEDIA_TYPE),
                language_code=code,
                timestamps_granularity="word",
                tag_audio_events=False,
                request_options=NO_RETRY,
                **options,
            )
        return [
            word
            for word in self._vendor.parse(_REPLY, answer).words
            if word.type == "word" and word.text.strip() and word.start is not None and word.end is not None
        ]


def _timed(word: _Word) -> TimedWord:
    start, end = word.start or 0.0, word.end or 0.0
    return TimedWord(word.text.strip(), round(start * 1000), round(end * 1000), math.exp(min(0.0, word.logprob)))
