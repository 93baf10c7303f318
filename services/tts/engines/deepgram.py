"""Engine `deepgram`: the Aura voices of Deepgram."""

from __future__ import annotations

from pydantic import BaseModel, TypeAdapter

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.engines.clients import NO_RETRY, deepgram_client
from onevoice_kit.engines.vendor import Vendor, variant
from services.tts.engines.base import Capabilities, Line, Voice
from services.tts.engines.voices import LIST_BYTES, VENDOR_BYTES, multilingual, vendor_id
from services.tts.settings import TtsSettings

NAME = "deepgram"
SAMPLE_RATE = 24_000


class _Metadata(BaseModel):
    sample: str | None = None


class _Model(BaseModel):
    canonical_name: str | None = None
    metadata: _Metadata | None = None


class _Models(BaseModel):
    tts: list[_Model]


_MODELS = TypeAdapter(_Models)


def create(settings: TtsSettings) -> Deepgram:
    """The engine as the settings want it."""
    return Deepgram(settings)


class Deepgram:
    """The synthesis engine (see `base.SynthesisEngine`); it speaks at its natural rate only."""

    def __init__(self, settings: TtsSettings) -> None:
        self._settings = settings
        self._vendor = Vendor(NAME, settings.tts_vendor_timeout_s, VENDOR_BYTES, ("audio/", "application/octet-stream"))
        self._client = deepgram_client(settings, self._vendor)
        self._lists = Vendor(NAME, settings.tts_vendor_timeout_s, LIST_BYTES, ("application/json",))
        self._listing = deepgram_client(settings, self._lists)

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
            recordings=True,
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

    async def recording(self, voice: Voice) -> str:
        async with self._lists.call():
            listed = await self._listing.get().manage.v1.models.list(request_options=NO_RETRY)
        models = self._lists.parse(_MODELS, listed).tts
        found = next((one.metadata for one in models if one.canonical_name == vendor_id(voice)), None)
        return (found and found.sample) or ""

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()
        await self._listing.close()
