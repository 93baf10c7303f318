"""Engine `fish`: the voices of Fish Audio, by its HTTP API."""

from __future__ import annotations

from decimal import Decimal

from onevoice_kit.engines.base import EngineInfo, Price, Unit
from onevoice_kit.engines.clients import http_client
from onevoice_kit.engines.vendor import Vendor, variant
from services.tts.engines.base import Capabilities, Line
from services.tts.engines.voices import VENDOR_BYTES, multilingual, vendor_id
from services.tts.settings import TtsSettings

NAME = "fish"
SAMPLE_RATE = 44_100
"""Of the format `pcm`: mono, 16-bit little endian."""
_LANGUAGES = "ar de en es fr it ja ko nl pl pt ru zh"
_PRICES = (Price(usd=Decimal(15), unit=Unit.MILLION_BYTES),)
"""As of 2026-11."""
_MARKUP = str.maketrans("<>|[]()", "       ")
"""Characters of tags for speakers and emotions, which a line must not set."""


def create(settings: TtsSettings) -> Fish:
    """The engine as the settings want it."""
    return Fish(settings)


class Fish:
    """The synthesis engine (see `base.SynthesisEngine`)."""

    def __init__(self, settings: TtsSettings) -> None:
        self._settings = settings
        self._vendor = Vendor(NAME, settings.tts_vendor_timeout_s, VENDOR_BYTES, ("audio/", "application/octet-stream"))
        self._client = http_client(self._vendor)

    async def describe(self) -> Capabilities:
        settings = self._settings
        missing = self._vendor.missing(settings.fish_api_key, "FISH_API_KEY", "httpx")
        if not missing and not settings.fish_voices:
            missing = "The engine “fish” needs the ids of voices; set FISH_VOICES."
        return Capabilities(
            info=EngineInfo(NAME, settings.fish_tts_model, variant(), prices=settings.prices("tts", NAME, _PRICES)),
            voices=() if missing else multilingual(NAME, settings.fish_voices, _LANGUAGES.split()),
            sample_rate=SAMPLE_RATE,
            missing=missing,
        )

    async def warm(self) -> None:
        self._client.get()

    async def speak(self, line: Line) -> bytes:
        asked = {
            "text": " ".join(line.text.translate(_MARKUP).split()),
            "reference_id": vendor_id(line.voice),
            "prosody": {"speed": line.rate, "volume": 0},
            "format": "pcm",
            "sample_rate": SAMPLE_RATE,
        }
        headers = {
            "authorization": f"Bearer {self._settings.fish_api_key.get_secret_value()}",
            "model": self._settings.fish_tts_model,
        }
        url = f"{self._settings.fish_base_url.rstrip('/')}/v1/tts"
        call = self._client.get().stream("POST", url, json=asked, headers=headers)
        async with self._vendor.call(), call as reply:
            return await self._vendor.collect(reply.aiter_bytes())

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()
