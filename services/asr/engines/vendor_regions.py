"""Recognition by vendors: what their engines share. A request is a region of speech, or a whole audio."""

from __future__ import annotations

import asyncio
import io
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

import soundfile
from pydantic import Field

from onevoice_kit.engines.clients import Client
from onevoice_kit.engines.vendor import Vendor
from onevoice_kit.errors import InvalidInput
from onevoice_kit.languages import best
from services.asr.audio import SAMPLE_RATE, SAMPLES_PER_MS, AudioFile, Samples
from services.asr.engines.base import Capabilities, SpokenWord, TimeRange, Utterance, Word
from services.asr.engines.context import with_context
from services.asr.engines.whisper import within
from services.asr.engines.whisper_model import TimedWord
from services.asr.settings import AsrSettings

FILE_NAME, MEDIA_TYPE = "speech.flac", "audio/flac"
REPLY_BYTES = 64 << 20
"""Longest reply: an hour of speech has some 3 MB of words."""
WHOLE_MS = 10 * 3_600_000
"""Longest audio that is sent whole: ElevenLabs takes 10 hours and 3 GB, Deepgram 2 GB, which are 17 hours."""
_WHOLE_SHARE = 0.1
"""Time that a vendor may take for a whole audio, as a share of its length, besides that for a region."""
_BLOCK_SAMPLES = 1 << 20
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

    def _long_call(self, length_ms: int) -> AbstractAsyncContextManager[None]:
        """The length of a call with a whole audio."""
        longer = replace(self._vendor, timeout_s=self._vendor.timeout_s + _WHOLE_SHARE * length_ms / 1000)
        return longer.call()


def spoken(words: Sequence[TimedWord], speakers: Sequence[str]) -> tuple[SpokenWord, ...]:
    """Words of a whole audio with their speakers, in time order; none without length."""
    pairs = sorted(zip(words, speakers, strict=True), key=lambda pair: (pair[0].start_ms, pair[0].end_ms))
    return tuple(
        SpokenWord(Word(word.text, word.start_ms, max(word.end_ms, word.start_ms + 1), word.confidence), speaker)
        for word, speaker in pairs
    )


def whole(audio: Path) -> tuple[bytes, int]:
    """The whole audio as a FLAC file of 16 kHz, mono, and its length, milliseconds. Raises as `AudioFile`."""
    with AudioFile(audio) as file:
        encoded = audio.read_bytes() if file.is_flac else _encoded(file.blocks(_BLOCK_SAMPLES))
        return encoded, file.size_ms


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
    return _encoded([samples]), samples.size / SAMPLE_RATE


def _encoded(blocks: Iterable[Samples]) -> bytes:
    """A FLAC file."""
    encoded = io.BytesIO()
    with soundfile.SoundFile(encoded, "w", SAMPLE_RATE, 1, format="FLAC", subtype="PCM_16") as file:
        for block in blocks:
            file.write(block)
    return encoded.getvalue()
