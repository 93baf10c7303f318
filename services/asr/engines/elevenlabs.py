"""Engine `elevenlabs`: recognition by ElevenLabs Scribe."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.engines.clients import NO_RETRY, elevenlabs_client
from onevoice_kit.engines.vendor import Vendor, variant
from onevoice_kit.languages import best
from services.asr.engines.base import Capabilities, TimeRange, Utterance
from services.asr.engines.vendor_regions import FILE_NAME, MEDIA_TYPE, REPLY_BYTES, Seconds, recognise
from services.asr.engines.whisper_model import TimedWord
from services.asr.settings import AsrSettings

NAME = "elevenlabs"
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


class _Reply(BaseModel):
    words: list[_Word]


_REPLY = TypeAdapter(_Reply)


def create(settings: AsrSettings) -> ElevenLabs:
    """The engine as the settings want it."""
    return ElevenLabs(settings)


class ElevenLabs:
    """The engine `elevenlabs`."""

    def __init__(self, settings: AsrSettings) -> None:
        self._settings = settings
        self._vendor = Vendor(NAME, settings.asr_vendor_timeout_s, REPLY_BYTES, ("application/json",))
        self._client = elevenlabs_client(settings, self._vendor)

    async def describe(self) -> Capabilities:
        return Capabilities(
            info=EngineInfo(NAME, self._settings.elevenlabs_asr_model, variant()),
            languages=LANGUAGES,
            missing=self._vendor.missing(self._settings.elevenlabs_api_key, "ELEVENLABS_API_KEY", "elevenlabs"),
        )

    async def warm(self) -> None:
        """Imports the vendor's package."""
        self._client.get()

    async def transcribe(self, audio: Path, regions: Sequence[TimeRange], language: str) -> AsyncGenerator[Utterance]:
        """As the protocol has it."""
        code = best(language, LANGUAGES) or "en"
        found = recognise(audio, regions, self._settings.asr_vendor_calls, partial(self._ask, code))
        async with aclosing(found) as utterances:
            async for utterance in utterances:
                yield utterance

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()

    async def _ask(self, code: str, sound: bytes, _length_ms: int) -> Sequence[TimedWord]:
        async with self._vendor.call():
            answer = await self._client.get().speech_to_text.convert(
                model_id=self._settings.elevenlabs_asr_model,
                file=(FILE_NAME, sound, MEDIA_TYPE),
                language_code=code,
                timestamps_granularity="word",
                tag_audio_events=False,
                diarize=False,
                request_options=NO_RETRY,
            )
        return [
            TimedWord(
                word.text.strip(), round(word.start * 1000), round(word.end * 1000), math.exp(min(0.0, word.logprob))
            )
            for word in self._vendor.parse(_REPLY, answer).words
            if word.type == "word" and word.text.strip() and word.start is not None and word.end is not None
        ]
