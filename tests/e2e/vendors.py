"""The local servers of three vendors beside a deployment, and the use that they count."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from threading import Thread
from typing import Any

import soundfile

from onevoice_kit.engines.base import Measure, Use
from tests.support import vendor_apis
from tests.support.chat_server import INPUT_TOKENS, OUTPUT_TOKENS, ChatServer, chat_server, translated
from tests.support.vendor_server import KEY, Api, VendorServer, vendor_server

_GIVE_UP_S = 60.0
MODEL_PRICES = [{"usd": "2.50", "unit": "1M input tokens"}, {"usd": "10", "unit": "1M output tokens"}]


@dataclass(frozen=True)
class Vendors:
    """Deepgram, ElevenLabs and OpenAI, as far as a dub calls them."""

    deepgram: VendorServer
    elevenlabs: VendorServer
    openai: ChatServer

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a deployment that has their keys; its own engines come first."""
        own = {"ASR_TRANSCRIPTION_ENGINES": "deepgram", "TRANSLATE_ENGINES": "openai", "TTS_ENGINES": "elevenlabs"}
        return {
            **{setting: f"{os.environ[setting]},{vendor}" for setting, vendor in own.items()},
            "DEEPGRAM_API_KEY": KEY,
            "DEEPGRAM_BASE_URL": self.deepgram.url,
            "ELEVENLABS_API_KEY": KEY,
            "ELEVENLABS_BASE_URL": self.elevenlabs.url,
            "TRANSLATE_OPENAI_BASE_URL": self.openai.url,
            "TRANSLATE_OPENAI_MODEL": "test-model",
            "ENGINE_PRICES": json.dumps({"translate.openai": MODEL_PRICES}),
        }

    def used(self) -> Mapping[str, list[Use]]:
        """The use of each request so far, by the stage that the report counts it under."""
        tokens: Use = {Measure.INPUT_TOKENS: INPUT_TOKENS, Measure.OUTPUT_TOKENS: OUTPUT_TOKENS}
        documents = self.openai.documents
        return {
            "asr": [{Measure.AUDIO_SECONDS: _seconds(request.body)} for request in self.deepgram.requests],
            "terms": [tokens for document in documents if "lines" not in document],
            "translate": [tokens for document in documents if "lines" in document],
            "tts": [{Measure.CHARACTERS: len(request.json["text"])} for request in self.elevenlabs.requests],
        }


@contextmanager
def local_vendors() -> Iterator[Vendors]:
    """The servers, on ports of loopback; at their end no request may have broken a vendor's schema."""
    with (
        chat_server() as openai,
        _in_a_thread(vendor_apis.deepgram_transcription, vendor_apis.elevenlabs_speech) as (deepgram, elevenlabs),
    ):
        openai.model = _distinct()
        yield Vendors(deepgram, elevenlabs, openai)


def _distinct() -> Any:
    """A model whose translations are short and all different, so that no line is found in a cache."""
    numbers = count()

    def text(_source: str) -> Mapping[str, str]:
        number = next(numbers)
        letters = "".join(chr(ord("a") + number // 26**place % 26) for place in range(3))
        return dict.fromkeys(("short", "natural", "full"), f"Frase {letters}.")

    def answer(data: dict[str, Any]) -> str:
        return translated(data, text) if "lines" in data else json.dumps({"summary": "A talk.", "terms": []})

    return answer


@contextmanager
def _in_a_thread(*apis: Api) -> Iterator[list[VendorServer]]:
    """Servers whose event loop runs beside the test, which itself waits for processes."""
    loop, stack = asyncio.new_event_loop(), AsyncExitStack()
    thread = Thread(target=loop.run_forever, name="vendors", daemon=True)
    thread.start()

    async def start() -> list[VendorServer]:
        return [await stack.enter_async_context(vendor_server(api)) for api in apis]

    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(_GIVE_UP_S)
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(_GIVE_UP_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_GIVE_UP_S)
        loop.close()


def _seconds(sound: bytes) -> float:
    with soundfile.SoundFile(io.BytesIO(sound)) as file:
        return float(file.frames / file.samplerate)
