"""The vendors' recordings of their voices."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from onevoice_kit.errors import PreconditionFailed, Unavailable
from services.tts.engines.deepgram import Deepgram
from services.tts.engines.elevenlabs import ElevenLabs
from services.tts.settings import TtsSettings
from tests.support.vendor_server import KEY, Reply, Request, VendorServer, refuses, sends, vendor_server

SAMPLE = "https://vendor.example/thalia.wav"


def elevenlabs_voice(request: Request) -> Reply:
    """`GET /v1/voices/{voice_id}` of the ElevenLabs API v1: the fields that a library voice has among others."""
    assert (request.method, request.headers["xi-api-key"]) == ("GET", KEY)
    voice = request.path.removeprefix("/v1/voices/")
    sample = SAMPLE if voice == "ana" else None
    return Reply(json.dumps({"voice_id": voice, "name": "Ana", "preview_url": sample}).encode(), "application/json")


def deepgram_models(request: Request) -> Reply:
    """`GET /v1/models` of the Deepgram API v1."""
    assert (request.method, request.path, request.headers["authorization"]) == ("GET", "/v1/models", f"Token {KEY}")
    models = [
        {"name": "zeus", "canonical_name": "aura-2-zeus-en", "metadata": {"sample": "https://vendor.example/z.wav"}},
        {"name": "thalia", "canonical_name": "aura-2-thalia-en", "metadata": {"sample": SAMPLE, "tags": ["clear"]}},
        {"name": "bare", "canonical_name": "aura-2-bare-en"},
    ]
    return Reply(json.dumps({"stt": [], "tts": models}).encode(), "application/json")


def elevenlabs(url: str) -> ElevenLabs:
    return ElevenLabs(TtsSettings(elevenlabs_api_key=KEY, elevenlabs_base_url=url, elevenlabs_voices=("ana", "bob")))


def deepgram(url: str) -> Deepgram:
    voices = ("aura-2-thalia-en", "aura-2-bare-en")
    return Deepgram(TtsSettings(deepgram_api_key=KEY, deepgram_base_url=url, deepgram_voices=voices))


VENDORS: Mapping[str, tuple[Callable[[str], Any], Callable[[Request], Reply]]] = {
    "elevenlabs": (elevenlabs, elevenlabs_voice),
    "deepgram": (deepgram, deepgram_models),
}


@pytest.fixture(params=VENDORS)
def vendor(request):
    return VENDORS[request.param]


async def recordings(make: Callable[[str], Any], server: VendorServer) -> list[str]:
    """Those of the first two voices."""
    engine = make(server.url)
    try:
        described = await engine.describe()
        assert described.recordings
        return [await engine.recording(voice) for voice in described.voices[:2]]
    finally:
        await engine.close()


async def test_a_voice_has_the_recording_that_its_vendor_lists(vendor):
    make, api = vendor
    async with vendor_server(api) as server:
        assert await recordings(make, server) == [SAMPLE, ""]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (refuses(401), PreconditionFailed),
        (refuses(500), Unavailable),
        (sends(b"<html>", "text/html"), Unavailable),
        (sends(b'{"preview_url": 7, "tts": 7}', "application/json"), Unavailable),
    ],
)
async def test_a_failure_of_the_vendor_is_an_error_of_ours(vendor, fault, error):
    make, api = vendor
    async with vendor_server(api) as server:
        server.fault = fault
        with pytest.raises(error):
            await recordings(make, server)
        assert len(server.requests) == 1
