"""Recognition by vendors: what their engines share. Each region of speech is one request, several of them at once."""

from __future__ import annotations

import asyncio
import io
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

import soundfile
from pydantic import Field

from onevoice_kit.engines.clients import Client
from onevoice_kit.engines.vendor import Vendor
from onevoice_kit.errors import InvalidInput
from onevoice_kit.languages import best
from services.asr.audio import SAMPLE_RATE, SAMPLES_PER_MS, AudioFile
from services.asr.engines.base import Capabilities, TimeRange, Utterance
from services.asr.engines.context import with_context
from services.asr.engines.whisper import within
from services.asr.engines.whisper_model import TimedWord
from services.asr.settings import AsrSettings

FILE_NAME, MEDIA_TYPE = "speech.flac", "audio/flac"
REPLY_BYTES = 8 << 20
"""Longest reply: a minute of speech has some 30 KB of words."""
_CONTEXT_MS = 100
_SHORTEST_MS = 100
"""Vendors refuse shorter audio; no word is so short."""

Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
"""A time in a reply."""
Ask = Callable[[bytes, int], Awaitable[Sequence[TimedWord]]]
"""Sends a FLAC file of 16 kHz, mono, of so many milliseconds; returns its words."""


class VendorRecognition(ABC):
    """A vendor's engine, but for its description and its request."""

    languages: ClassVar[Mapping[str, str]]
    """The vendor's code by BCP-47."""

    def __init__(self, name: str, settings: AsrSettings, connect: Callable[[AsrSettings, Vendor], Client]) -> None:
        self._settings = settings
        self._vendor = Vendor(name, settings.asr_vendor_timeout_s, REPLY_BYTES, ("application/json",))
        self._client = connect(settings, self._vendor)

    @abstractmethod
    async def describe(self) -> Capabilities:
        """As the protocol has it."""

    @abstractmethod
    async def _ask(self, code: str, sound: bytes, length_ms: int) -> Sequence[TimedWord]:
        """Sends a FLAC file of 16 kHz, mono, of so many milliseconds, in the language of a code; returns its words."""

    async def warm(self) -> None:
        """Imports the vendor's package."""
        self._client.get()

    async def transcribe(self, audio: Path, regions: Sequence[TimeRange], language: str) -> AsyncGenerator[Utterance]:
        """As the protocol has it."""
        code = self.languages[best(language, self.languages) or "en"]
        found = recognise(audio, regions, self._settings.asr_vendor_calls, partial(self._ask, code))
        async with aclosing(found) as utterances:
            async for utterance in utterances:
                yield utterance

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()


async def recognise(audio: Path, regions: Sequence[TimeRange], at_once: int, ask: Ask) -> AsyncGenerator[Utterance]:
    """
    One utterance for each region, in order, by up to `at_once` requests at a time. Closing the generator cancels
    every request. Raises the errors of `AudioFile` and of `ask`, `InvalidInput` (reason `invalid_regions`).
    """
    places = asyncio.Semaphore(at_once)

    async def one(region: TimeRange, heard: TimeRange) -> Utterance:
        async with places:
            sound, sent_s = await asyncio.to_thread(_flac, audio, heard)
            words = await ask(sound, heard.length_ms) if sound else ()
        return Utterance(region, tuple(within(region, heard.start_ms, words)), sent_s)

    pairs = zip(regions, with_context(regions, _CONTEXT_MS), strict=True)
    running = [asyncio.create_task(one(region, heard)) for region, heard in pairs]
    try:
        for task in running:
            yield await task
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def spread(text: str, length_ms: int) -> list[TimedWord]:
    """Words of a text without times, each as long as its share of the characters of the sound."""
    words = text.split()
    total = sum(map(len, words))
    placed, before = [], 0
    for word in words:
        after = before + len(word)
        placed.append(TimedWord(word, before * length_ms // total, after * length_ms // total, 0.5))
        before = after
    return placed


def with_punctuation(text: str, words: Sequence[str]) -> list[str]:
    """
    The words with the punctuation that they have in the text, where each is found in it, in order; else as they are.
    Between two words, what stands before the last space belongs to the first.
    """
    found: list[str] = []
    cursor = 0
    for word in words:
        start = text.find(word, cursor)
        if start < 0 or not word:
            return list(words)
        head = text[cursor:start]
        before, space, after = head.rpartition(" ")
        if found:
            found[-1] += (before if space else head).strip()
        found.append((after if space or not found else "") + word)
        cursor = start + len(word)
    if found:
        found[-1] += text[cursor:].strip()
    return found


def _flac(audio: Path, heard: TimeRange) -> tuple[bytes, float]:
    """A part of an audio and its length, seconds; nothing where it is too short."""
    with AudioFile(audio) as file:
        samples = file.range(heard.start_ms, heard.end_ms)
    if not samples.size:
        raise InvalidInput("A region begins after the audio ends.", reason="invalid_regions")
    if samples.size < _SHORTEST_MS * SAMPLES_PER_MS:
        return b"", 0.0
    encoded = io.BytesIO()
    soundfile.write(encoded, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return encoded.getvalue(), samples.size / SAMPLE_RATE
