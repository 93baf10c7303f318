"""Every engine of a vendor with its local server, for the contract of its kind and for the contract of failures."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from services.asr.engines.registry import conversation_engines, transcription_engines
from services.asr.settings import AsrSettings
from services.tts.engines.registry import synthesis_engines
from services.tts.settings import TtsSettings
from tests.support import vendor_apis
from tests.support.vendor_server import KEY, Api, VendorServer, vendor_server


@dataclass(frozen=True)
class VendorEngine:
    """An engine and the part of its vendor's API that it calls."""

    api: Api
    settings: Callable[[str], Mapping[str, Any]]
    """By the server's address."""
    key: str = ""
    """The setting that holds the key."""


VENDORS: Mapping[tuple[str, str], VendorEngine] = {
    ("transcription", "deepgram"): VendorEngine(
        vendor_apis.deepgram_transcription, lambda url: {"deepgram_base_url": url}, "deepgram_api_key"
    ),
    ("conversation", "deepgram"): VendorEngine(
        vendor_apis.deepgram_transcription, lambda url: {"deepgram_base_url": url}, "deepgram_api_key"
    ),
    ("conversation", "elevenlabs"): VendorEngine(
        vendor_apis.elevenlabs_transcription, lambda url: {"elevenlabs_base_url": url}, "elevenlabs_api_key"
    ),
    ("synthesis", "custom"): VendorEngine(
        vendor_apis.custom_speech,
        lambda url: {
            "custom_tts_url": f"{url}/speak",
            "custom_tts_voices": ("ana", "bob"),
            "custom_tts_languages": ("es", "en"),
            "custom_tts_batch": 4,
        },
        "custom_tts_key",
    ),
    ("synthesis", "fish"): VendorEngine(
        vendor_apis.fish_speech,
        lambda url: {"fish_base_url": url, "fish_voices": ("ana:Ana:female", "bob")},
        "fish_api_key",
    ),
    ("synthesis", "deepgram"): VendorEngine(
        vendor_apis.deepgram_speech, lambda url: {"deepgram_base_url": url}, "deepgram_api_key"
    ),
    ("synthesis", "openai"): VendorEngine(
        vendor_apis.openai_speech, lambda url: {"openai_audio_base_url": url}, "openai_api_key"
    ),
    ("transcription", "openai"): VendorEngine(
        vendor_apis.openai_transcription, lambda url: {"openai_audio_base_url": url}, "openai_api_key"
    ),
    ("transcription", "elevenlabs"): VendorEngine(
        vendor_apis.elevenlabs_transcription, lambda url: {"elevenlabs_base_url": url}, "elevenlabs_api_key"
    ),
    ("synthesis", "elevenlabs"): VendorEngine(
        vendor_apis.elevenlabs_speech, lambda url: {"elevenlabs_base_url": url}, "elevenlabs_api_key"
    ),
}
"""By kind and name: a pair."""


def make(pair: tuple[str, str], url: str, timeout_s: float = 20.0, key: str = KEY) -> Any:
    """The engine as its service makes it, calling a server at `url`."""
    vendor, name = VENDORS[pair], pair[1]
    chosen = {**vendor.settings(url), vendor.key: SecretStr(key)}
    if pair[0] == "transcription":
        asr = AsrSettings(asr_transcription_engines=(name,), asr_vendor_timeout_s=timeout_s, **chosen)
        return transcription_engines(asr).get(name)
    if pair[0] == "conversation":
        asr = AsrSettings(asr_diarization_engines=(name,), asr_vendor_timeout_s=timeout_s, **chosen)
        return conversation_engines(asr).get(name)
    return synthesis_engines(TtsSettings(tts_engines=(name,), tts_vendor_timeout_s=timeout_s, **chosen)).get(name)


@asynccontextmanager
async def served(pair: tuple[str, str], timeout_s: float = 20.0) -> AsyncGenerator[tuple[Any, VendorServer]]:
    """The engine with its server."""
    async with vendor_server(VENDORS[pair].api) as server:
        engine = make(pair, server.url, timeout_s)
        try:
            yield engine, server
        finally:
            await engine.close()
