"""Engine `custom`: any speech synthesizer behind a small HTTP contract (`docs/custom-synthesis.md`)."""

from __future__ import annotations

import io
import wave

from onevoice_kit.engines.base import FREE, EngineInfo
from onevoice_kit.engines.clients import http_client
from onevoice_kit.engines.vendor import Vendor, variant
from services.tts.engines.base import Capabilities, Voice
from services.tts.engines.voices import VENDOR_BYTES, multilingual, vendor_id
from services.tts.settings import TtsSettings

NAME = "custom"
_TYPES = ("audio/wav", "audio/x-wav", "audio/vnd.wave")


def create(settings: TtsSettings) -> Custom:
    """The engine as the settings want it."""
    return Custom(settings)


class Custom:
    """The synthesis engine (see `base.SynthesisEngine`)."""

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
            missing=missing,
        )

    async def warm(self) -> None:
        self._client.get()

    async def speak(self, text: str, voice: Voice, rate: float) -> bytes:
        asked = {
            "text": text,
            "language": voice.language,
            "voice": vendor_id(voice),
            "rate": rate,
            "sample_rate": self._settings.custom_tts_sample_rate,
        }
        key = self._settings.custom_tts_key.get_secret_value()
        headers = {"authorization": f"Bearer {key}"}
        call = self._client.get().stream("POST", self._settings.custom_tts_url, json=asked, headers=headers)
        async with self._vendor.call(), call as reply:
            return self._samples(await self._vendor.collect(reply.aiter_bytes()))

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()

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
