"""Engine `openai`: recognition by the audio API of OpenAI, or of a server that has the same one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import ClassVar

from pydantic import BaseModel, TypeAdapter

from onevoice_kit.engines.base import FREE, EngineInfo, Price, Unit
from onevoice_kit.engines.clients import openai_client
from onevoice_kit.engines.vendor import variant
from onevoice_kit.settings import OPENAI_URL
from services.asr.engines.base import Capabilities
from services.asr.engines.vendor_regions import (
    FILE_NAME,
    MEDIA_TYPE,
    Seconds,
    VendorRecognition,
    spread,
    with_punctuation,
)
from services.asr.engines.whisper import LANGUAGES
from services.asr.engines.whisper_model import TimedWord
from services.asr.settings import AsrSettings

NAME = "openai"
_PRICES = {"gpt-transcribe": (Price(usd=Decimal("0.0045"), unit=Unit.MINUTE),)}
"""By model, as of 2026-11."""
_ENDS = date(2027, 2, 26)
"""Of every model of OpenAI's but `gpt-transcribe`."""


class _Word(BaseModel):
    word: str
    start: Seconds
    end: Seconds


class _Segment(BaseModel):
    end: float
    avg_logprob: float = -0.7


class _Reply(BaseModel):
    text: str
    words: list[_Word] | None = None
    segments: list[_Segment] | None = None


_REPLY = TypeAdapter(_Reply)


def create(settings: AsrSettings) -> OpenAi:
    """The engine as the settings want it."""
    return OpenAi(settings)


class OpenAi(VendorRecognition):
    """The engine `openai`; words have times of their own only by models of the Whisper family."""

    languages: ClassVar = LANGUAGES

    def __init__(self, settings: AsrSettings) -> None:
        super().__init__(NAME, settings, openai_client)
        self._model = settings.openai_asr_model
        self._timed = not self._model.startswith("gpt-")

    async def describe(self) -> Capabilities:
        url = self._settings.openai_audio_base_url
        own = url != OPENAI_URL
        ends = None if own or self._model == "gpt-transcribe" else _ENDS
        return Capabilities(
            info=EngineInfo(
                NAME,
                self._model,
                variant(url=url if own else ""),
                shutdown_date=ends,
                prices=self._settings.prices("asr", NAME, FREE if own else _PRICES.get(self._model)),
            ),
            languages=tuple(LANGUAGES),
            missing=self._vendor.missing(self._settings.openai_api_key, "OPENAI_API_KEY", "openai"),
        )

    async def _ask(self, code: str, sound: bytes, length_ms: int) -> Sequence[TimedWord]:
        times = {"response_format": "verbose_json", "timestamp_granularities": ["word", "segment"]}
        create_transcription = self._client.get().audio.transcriptions.with_streaming_response.create
        async with (
            self._vendor.call(),
            create_transcription(
                file=(FILE_NAME, sound, MEDIA_TYPE),
                model=self._model,
                **({"languages": [code]} if self._model == "gpt-transcribe" else {"language": code}),
                **(times if self._timed else {"response_format": "json"}),
            ) as answer,
        ):
            body = await self._vendor.collect(answer.iter_bytes())
        reply = self._vendor.parse(_REPLY, body)
        return spread(reply.text, length_ms) if reply.words is None else _timed(reply, reply.words)


def _timed(reply: _Reply, words: Sequence[_Word]) -> list[TimedWord]:
    """Words with the punctuation of the text and the probability of their segment; the API has none of a word."""
    kept = [word for word in words if word.word.strip()]
    texts = with_punctuation(reply.text, [word.word.strip() for word in kept])
    return [
        TimedWord(text, round(word.start * 1000), round(word.end * 1000), _confidence(reply, word))
        for text, word in zip(texts, kept, strict=True)
    ]


def _confidence(reply: _Reply, word: _Word) -> float:
    segment = next((one for one in reply.segments or () if word.start < one.end), None)
    return math.exp(min(0.0, segment.avg_logprob)) if segment else 0.5
