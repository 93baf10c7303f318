"""Engine `openai`: speech by the OpenAI API, or by a server that has the same one."""

from __future__ import annotations

from datetime import date

from onevoice_kit.engines.base import FREE, EngineInfo
from onevoice_kit.engines.clients import openai_client
from onevoice_kit.engines.vendor import Vendor, variant
from onevoice_kit.settings import OPENAI_URL
from services.tts.engines.base import Capabilities, Line
from services.tts.engines.voices import VENDOR_BYTES, multilingual, vendor_id
from services.tts.settings import TtsSettings

NAME = "openai"
_ENDS = date(2027, 1, 6)
"""Of every model of OpenAI's that speaks by this API."""
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
        self._client = openai_client(settings, self._vendor)

    async def describe(self) -> Capabilities:
        settings = self._settings
        missing = self._vendor.missing(settings.openai_api_key, "OPENAI_API_KEY", "openai")
        own = settings.openai_audio_base_url != OPENAI_URL
        url = settings.openai_audio_base_url if own else ""
        version = variant(url=url, instructions=settings.openai_tts_instructions)
        return Capabilities(
            info=EngineInfo(
                NAME,
                settings.openai_tts_model,
                version,
                shutdown_date=None if own else _ENDS,
                prices=settings.prices("tts", NAME, FREE if own else None),
            ),
            voices=() if missing else multilingual(NAME, settings.openai_tts_voices, _LANGUAGES.split()),
            sample_rate=SAMPLE_RATE,
            normalises=True,
            missing=missing,
        )

    async def warm(self) -> None:
        self._client.get()

    async def speak(self, line: Line) -> bytes:
        create_speech = self._client.get().audio.speech.with_streaming_response.create
        # The API refuses instructions for its older models, so empty ones are left out.
        extra = {"instructions": asked} if (asked := self._settings.openai_tts_instructions) else {}
        async with (
            self._vendor.call(),
            create_speech(
                input=line.text,
                model=self._settings.openai_tts_model,
                voice=vendor_id(line.voice),
                response_format="pcm",
                speed=line.rate,
                **extra,
            ) as reply,
        ):
            return await self._vendor.collect(reply.iter_bytes())

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()
