"""Recognition by vendors: each region of speech is one request, several of them at once."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated

import soundfile
from pydantic import Field

from onevoice_kit.errors import InvalidInput
from services.asr.audio import SAMPLE_RATE, SAMPLES_PER_MS, AudioFile
from services.asr.engines.base import TimeRange, Utterance
from services.asr.engines.context import with_context
from services.asr.engines.whisper import within
from services.asr.engines.whisper_model import TimedWord

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


async def recognise(audio: Path, regions: Sequence[TimeRange], at_once: int, ask: Ask) -> AsyncGenerator[Utterance]:
    """
    One utterance for each region, in order, by up to `at_once` requests at a time. Closing the generator cancels
    every request. Raises the errors of `AudioFile` and of `ask`, `InvalidInput` (reason `invalid_regions`).
    """
    places = asyncio.Semaphore(at_once)

    async def one(region: TimeRange, heard: TimeRange) -> Utterance:
        async with places:
            sound = await asyncio.to_thread(_flac, audio, heard)
            words = await ask(sound, heard.length_ms) if sound else ()
        return Utterance(region, tuple(within(region, heard.start_ms, words)))

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


def _flac(audio: Path, heard: TimeRange) -> bytes:
    with AudioFile(audio) as file:
        samples = file.range(heard.start_ms, heard.end_ms)
    if not samples.size:
        raise InvalidInput("A region begins after the audio ends.", reason="invalid_regions")
    if samples.size < _SHORTEST_MS * SAMPLES_PER_MS:
        return b""
    encoded = io.BytesIO()
    soundfile.write(encoded, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return encoded.getvalue()
