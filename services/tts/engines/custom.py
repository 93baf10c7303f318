"""Engine `custom`: any speech synthesizer behind a small HTTP contract (`docs/custom-synthesis.md`)."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Base64Bytes, BaseModel, TypeAdapter

from onevoice_kit.engines.base import FREE, EngineInfo
from onevoice_kit.engines.clients import http_client
from onevoice_kit.engines.vendor import Vendor, variant
from onevoice_kit.errors import OneVoiceError
from services.tts.engines.base import Capabilities, Line
from services.tts.engines.voices import VENDOR_BYTES, multilingual, vendor_id
from services.tts.settings import TtsSettings

NAME = "custom"
_TYPES = ("audio/wav", "audio/x-wav", "audio/vnd.wave", "application/json")


class _Line(BaseModel):
    audio: Base64Bytes = b""
    """A WAV file."""
    status: int = 200
    """That of the reply where the line were the only one."""


class _Spoken(BaseModel):
    lines: list[_Line]


_SPOKEN = TypeAdapter(_Spoken)


def create(settings: TtsSettings) -> Custom:
    """The engine as the settings want it."""
    return Custom(settings)


class Custom:
    """The synthesis engine (see `base.BatchEngine`); it speaks as many lines at once as its server takes."""

    def __init__(self, settings: TtsSettings) -> None:
        self._settings = settings
        self._vendor = Vendor(NAME, settings.tts_vendor_timeout_s, VENDOR_BYTES, _TYPES)
        self._client = http_client(self._vendor)

    async def describe(self) -> Capabilities:
        settings = self._settings
        missing = self._vendor.missing(settings.custom_tts_key, "CUSTOM_TTS_KEY", "httpx")
        if not settings.custom_tts_url:
            missing = "The engine “custom” needs the address of a server; set CUSTOM_TTS_URL."
        version = variant(url=settings.custom_tts_url, version=settings.custom_tts_version)
        return Capabilities(
            info=EngineInfo(NAME, version=version, prices=settings.prices("tts", NAME, FREE)),
            voices=() if missing else multilingual(NAME, settings.custom_tts_voices, settings.custom_tts_languages),
            sample_rate=settings.custom_tts_sample_rate,
            normalises=settings.custom_tts_normalises,
            batch=settings.custom_tts_batch,
            missing=missing,
        )

    async def warm(self) -> None:
        self._client.get()

    async def speak(self, line: Line) -> bytes:
        async with self._vendor.call(), self._asked(self._line(line)) as reply:
            return self._samples(await self._vendor.collect(reply.aiter_bytes()))

    async def speak_many(self, lines: Sequence[Line]) -> Sequence[bytes | OneVoiceError]:
        asked = {"lines": [self._line(line) for line in lines]}
        async with self._vendor.call(), self._asked(asked) as reply:
            spoken = await self._vendor.collect(reply.aiter_bytes())
        return await asyncio.to_thread(self._outcomes, spoken, len(lines))

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()

    def _line(self, line: Line) -> Mapping[str, Any]:
        return {
            "text": line.text,
            "language": line.voice.language,
            "voice": vendor_id(line.voice),
            "rate": line.rate,
            "sample_rate": self._settings.custom_tts_sample_rate,
        }

    def _asked(self, body: Mapping[str, Any]) -> Any:
        headers = {"authorization": f"Bearer {self._settings.custom_tts_key.get_secret_value()}"}
        return self._client.get().stream("POST", self._settings.custom_tts_url, json=body, headers=headers)

    def _outcomes(self, reply: bytes, lines: int) -> Sequence[bytes | OneVoiceError]:
        spoken = self._vendor.parse(_SPOKEN, reply).lines
        if len(spoken) != lines:
            raise self._vendor.answer("has another number of lines than the request")
        return [self._outcome(one) for one in spoken]

    def _outcome(self, spoken: _Line) -> bytes | OneVoiceError:
        if spoken.status != 200:
            return self._vendor.refused(spoken.status, {})
        try:
            return self._samples(spoken.audio)
        except OneVoiceError as error:
            return error

    def _samples(self, reply: bytes) -> bytes:
        try:
            with wave.open(io.BytesIO(reply)) as sound:
                form = (sound.getnchannels(), sound.getsampwidth(), sound.getframerate())
                samples: bytes = sound.readframes(sound.getnframes())
        except (wave.Error, EOFError) as error:
            raise self._vendor.answer("is no WAV file") from error
        if form != (1, 2, self._settings.custom_tts_sample_rate):
            raise self._vendor.answer("is not mono, of 16 bits and of the requested rate")
        return samples
