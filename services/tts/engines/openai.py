"""Engine `openai`: speech by the OpenAI API, or by a server that has the same one."""

from __future__ import annotations

from typing import Any

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.engines.vendor import Vendor, variant
from onevoice_kit.settings import OPENAI_URL
from services.tts.engines.base import Capabilities, Voice
from services.tts.engines.voices import VENDOR_BYTES, multilingual, vendor_id
from services.tts.settings import TtsSettings

NAME = "openai"
SAMPLE_RATE = 24_000
"""Of the format `pcm`: mono, 16-bit little endian."""
_LANGUAGES = (
    "af ar hy az be bs bg ca zh hr cs da nl en et fi fr gl de el he hi hu is id it ja kn kk ko lv lt mk ms mr mi ne no "
    "fa pl pt ro ru sr sk sl es sw sv tl ta th tr uk ur vi cy"
)
"""Those that the vendor names; a server of one's own may speak fewer."""


def create(settings: TtsSettings) -> OpenAi:
    """The engine as the settings want it."""
    return OpenAi(settings)


class OpenAi:
    """The synthesis engine (see `base.SynthesisEngine`)."""

    def __init__(self, settings: TtsSettings) -> None:
        self._settings = settings
        self._vendor = Vendor(NAME, settings.tts_vendor_timeout_s, VENDOR_BYTES, ("audio/", "application/octet-stream"))
        self._made: Any = None

    async def describe(self) -> Capabilities:
        settings = self._settings
        missing = self._vendor.missing(settings.openai_api_key, "OPENAI_API_KEY", "openai")
        url = settings.openai_audio_base_url
        version = variant(url="" if url == OPENAI_URL else url, instructions=settings.openai_tts_instructions)
        return Capabilities(
            info=EngineInfo(NAME, settings.openai_tts_model, version),
            voices=() if missing else multilingual(NAME, settings.openai_tts_voices, _LANGUAGES.split()),
            sample_rate=SAMPLE_RATE,
            missing=missing,
        )

    async def warm(self) -> None:
        self._client()

    async def speak(self, text: str, voice: Voice, rate: float) -> bytes:
        create_speech = self._client().audio.speech.with_streaming_response.create
        # The API refuses instructions for its older models, so empty ones are left out.
        extra = {"instructions": asked} if (asked := self._settings.openai_tts_instructions) else {}
        async with (
            self._vendor.call(),
            create_speech(
                input=text,
                model=self._settings.openai_tts_model,
                voice=vendor_id(voice),
                response_format="pcm",
                speed=rate,
                **extra,
            ) as reply,
        ):
            return await self._vendor.collect(reply.iter_bytes())

    async def close(self) -> None:
        """Closes the connections."""
        if self._made is not None:
            await self._made.close()
            self._made = None

    def _client(self) -> Any:
        if self._made is None:
            import httpx2
            import openai

            self._made = openai.AsyncOpenAI(
                api_key=self._settings.openai_api_key.get_secret_value(),
                base_url=self._settings.openai_audio_base_url,
                max_retries=0,
                http_client=self._vendor.client(httpx2),
            )
        return self._made
