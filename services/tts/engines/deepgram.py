"""Engine `deepgram`: the Aura voices of Deepgram."""

from __future__ import annotations

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.engines.clients import deepgram_client
from onevoice_kit.engines.vendor import Vendor, variant
from services.tts.engines.base import Capabilities, Line
from services.tts.engines.voices import VENDOR_BYTES, multilingual, vendor_id
from services.tts.settings import TtsSettings

NAME = "deepgram"
SAMPLE_RATE = 24_000


def create(settings: TtsSettings) -> Deepgram:
    """The engine as the settings want it."""
    return Deepgram(settings)


class Deepgram:
    """The synthesis engine (see `base.SynthesisEngine`); it speaks at its natural rate only."""

    def __init__(self, settings: TtsSettings) -> None:
        self._settings = settings
        self._vendor = Vendor(NAME, settings.tts_vendor_timeout_s, VENDOR_BYTES, ("audio/", "application/octet-stream"))
        self._client = deepgram_client(settings, self._vendor)

    async def describe(self) -> Capabilities:
        missing = self._vendor.missing(self._settings.deepgram_api_key, "DEEPGRAM_API_KEY", "deepgram")
        # The language is the end of a voice's id, as in `aura-2-celeste-es`.
        voices = tuple(
            voice
            for setting in self._settings.deepgram_voices
            for voice in multilingual(NAME, [setting], [setting.partition(":")[0].rpartition("-")[2]])
        )
        return Capabilities(
            info=EngineInfo(NAME, "aura-2", variant(), prices=self._settings.prices("tts", NAME)),
            voices=() if missing else voices,
            sample_rate=SAMPLE_RATE,
            min_rate=1.0,
            max_rate=1.0,
            normalises=True,
            missing=missing,
        )

    async def warm(self) -> None:
        self._client.get()

    async def speak(self, line: Line) -> bytes:
        async with (
            self._vendor.call(),
            self._client.get().speak.v1.audio.with_raw_response.generate(
                text=line.text,
                model=vendor_id(line.voice),
                encoding="linear16",
                container="none",
                sample_rate=SAMPLE_RATE,
            ) as reply,
        ):
            return await self._vendor.collect(reply.data)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()
