"""Engine `elevenlabs`: the multilingual voices of ElevenLabs."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel, TypeAdapter

from onevoice_kit.engines.base import EngineInfo, Price, Unit
from onevoice_kit.engines.clients import NO_RETRY, elevenlabs_client
from onevoice_kit.engines.vendor import Vendor, variant
from services.tts.engines.base import Capabilities, Line, Voice
from services.tts.engines.voices import LIST_BYTES, VENDOR_BYTES, multilingual, vendor_id
from services.tts.settings import TtsSettings

NAME = "elevenlabs"
_PRICES = (Price(usd=Decimal("0.10"), unit=Unit.THOUSAND_CHARACTERS),)
"""Without a plan's discount, as of 2026-11."""
SAMPLE_RATE = 24_000
_FORMAT = "pcm_24000"
"""Mono, 16-bit little endian; part of every plan, which `pcm_44100` is not."""
_LANGUAGES = "en ja zh de hi fr ko pt it es id nl tr tl pl sv bg ro ar cs el fi hr ms sk da ta uk ru"
"""Of `eleven_multilingual_v2`; the newer models speak these too."""
_WITHOUT_LANGUAGE = ("eleven_multilingual_v2", "eleven_multilingual_v1", "eleven_monolingual_v1")
"""Models that find the language by themselves and refuse a language code."""
_WITHOUT_NEIGHBOURS = "eleven_v3"
"""Beginning of the names of models that refuse the text before and after a line."""
_SLOWEST, _FASTEST = 0.7, 1.2


class _Voice(BaseModel):
    preview_url: str | None = None


_VOICE = TypeAdapter(_Voice)


def create(settings: TtsSettings) -> ElevenLabs:
    """The engine as the settings want it."""
    return ElevenLabs(settings)


class ElevenLabs:
    """The synthesis engine (see `base.SynthesisEngine`); its rate ends at 0.7 and 1.2."""

    def __init__(self, settings: TtsSettings) -> None:
        self._settings = settings
        self._vendor = Vendor(NAME, settings.tts_vendor_timeout_s, VENDOR_BYTES, ("audio/", "application/octet-stream"))
        self._client = elevenlabs_client(settings, self._vendor)
        self._lists = Vendor(NAME, settings.tts_vendor_timeout_s, LIST_BYTES, ("application/json",))
        self._listing = elevenlabs_client(settings, self._lists)

    async def describe(self) -> Capabilities:
        settings = self._settings
        missing = self._vendor.missing(settings.elevenlabs_api_key, "ELEVENLABS_API_KEY", "elevenlabs")
        return Capabilities(
            info=EngineInfo(
                NAME,
                settings.elevenlabs_tts_model,
                variant(**self._sound()),
                prices=settings.prices("tts", NAME, _PRICES),
            ),
            voices=() if missing else multilingual(NAME, settings.elevenlabs_voices, _LANGUAGES.split()),
            sample_rate=SAMPLE_RATE,
            min_rate=_SLOWEST,
            max_rate=_FASTEST,
            normalises=True,
            recordings=True,
            missing=missing,
        )

    async def warm(self) -> None:
        self._client.get()

    async def speak(self, line: Line) -> bytes:
        from elevenlabs.types import VoiceSettings

        model = self._settings.elevenlabs_tts_model
        language = {} if model in _WITHOUT_LANGUAGE else {"language_code": line.voice.language.partition("-")[0]}
        sound = {name: value for name, value in self._sound().items() if value is not None}
        async with (
            self._vendor.call(),
            self._client.get().text_to_speech.with_raw_response.convert(
                vendor_id(line.voice),
                text=line.text,
                model_id=model,
                output_format=_FORMAT,
                voice_settings=VoiceSettings(speed=min(_FASTEST, max(_SLOWEST, line.rate)), **sound),
                request_options=NO_RETRY,
                **language,
                **_neighbours(line, model),
            ) as reply,
        ):
            return await self._vendor.collect(reply.data)

    async def recording(self, voice: Voice) -> str:
        async with self._lists.call():
            found = await self._listing.get().voices.get(vendor_id(voice), request_options=NO_RETRY)
        return self._lists.parse(_VOICE, found).preview_url or ""

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()
        await self._listing.close()

    def _sound(self) -> dict[str, float | None]:
        settings = self._settings
        return {
            "stability": settings.elevenlabs_stability,
            "similarity_boost": settings.elevenlabs_similarity,
            "style": settings.elevenlabs_style,
        }


def _neighbours(line: Line, model: str) -> dict[str, str]:
    if model.startswith(_WITHOUT_NEIGHBOURS):
        return {}
    texts = {"previous_text": line.previous_text, "next_text": line.next_text}
    return {name: text for name, text in texts.items() if text}
