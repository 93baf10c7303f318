"""Speaks lines with one of the configured engines and stores each under a key that follows from its request."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from onevoice_kit.engines.base import EngineInfo, Measure
from onevoice_kit.errors import Cancelled, InvalidInput
from onevoice_kit.storage.base import ObjectRef, Storage, check_key
from onevoice_kit.text import clean
from services.tts.audio import length_ms, to_wav, trim
from services.tts.batching import Batches
from services.tts.engines.base import Line
from services.tts.engines.registry import Choice, Engines, choose
from services.tts.normalisation.text import spoken

MAX_CHARS = 2_000
"""Longest line."""
MAX_LINES = 64
"""Most lines of one call."""
MIN_RATE, MAX_RATE = 0.5, 2.0
MAX_WANTED_MS = 600_000
NOTHING_TO_SPEAK = "nothing_to_speak"
"""Reason of the permanent error for a line without sound; the caller leaves the line silent and reports it."""
_VERSION = "tts-1"
"""Part of every key; a new one when the same request gives another audio."""
_CONTENT_TYPE = "audio/wav"


@dataclass(frozen=True, slots=True)
class Request:
    """A line to speak."""

    text: str
    language: str
    """BCP-47."""
    output_prefix: str
    """Key prefix, without a trailing slash."""
    voice: str = ""
    """Id of the voice; empty takes the language's first."""
    rate: float = 1.0
    """1.0 is natural, 0.5 to 2.0."""
    engine: str = ""
    """Name of the engine; empty takes the voice's, or the first that serves the language."""
    previous_text: str = ""
    """
    The text of the same speaker just before it. It and the next are context for the engine and no part of the key: a
    change of one line does not make its neighbours be spoken again.
    """
    next_text: str = ""
    wanted_ms: int = 0
    """Length for an engine of exact lengths; 0 for the natural one. Part of the key for such an engine alone."""


@dataclass(frozen=True, slots=True)
class Speech:
    """A spoken line."""

    audio: ObjectRef
    natural_ms: int
    cached: bool
    """True where it had been spoken before."""
    engine: EngineInfo
    voice: str
    cost_microusd: int | None
    """At list price, millionths of a US dollar, also where it had been spoken before; None where it is not known."""


class _KeyLocks:
    """One lock for each key in use."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Excludes other holders of the key within the context."""
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[key]
            if users > 1:
                self._locks[key] = (lock, users - 1)
            else:
                del self._locks[key]


class Synthesizer:
    """The use case behind Synthesize and SynthesizeLines."""

    def __init__(self, storage: Storage, engines: Engines, batches: Batches) -> None:
        """`batches` speaks; a line found in the storage does not reach it."""
        self._storage = storage
        self._engines = engines
        self._batches = batches
        self._spoken_now = _KeyLocks()

    async def synthesize(self, request: Request) -> Speech:
        """
        Speaks a line, or finds it spoken.

        Raises `InvalidInput` (`nothing_to_speak` for a text without letters or digits, before any engine is called,
        and for a text that the engine renders as silence; `text_too_long`, `invalid_rate`, `invalid_length`,
        `invalid_key`, those of `choose`), `PreconditionFailed` (`engine_unavailable`), `Busy` (`queue_full`), and
        errors of the engine and the storage.
        """
        text = clean(request.text)
        _check(request, text)
        choice = await choose(self._engines, request.engine, request.voice, request.language)
        if not choice.capabilities.normalises:
            text = await asyncio.to_thread(spoken, text, request.language or choice.served.language)
        key = _key(request, text, choice)
        async with self._spoken_now.hold(key):
            found = await self._storage.head(key)
            if found is not None and found.sha256:
                return _speech(choice, text, found, cached=True)
            wav = await self._speak(
                choice, Line(text, choice.served, request.rate, *_context(request), request.wanted_ms)
            )
            return _speech(choice, text, await self._storage.put_bytes(key, wav, _CONTENT_TYPE), cached=False)

    async def synthesize_lines(
        self, requests: Sequence[Request]
    ) -> AsyncGenerator[tuple[int, Speech | BaseException], None]:
        """
        The speech or the error of each line, by its place, as soon as it is ready: all of `synthesize`, at once.
        Closing the generator gives up what is not ready. Raises `InvalidInput` (reason `too_many_lines`).
        """
        if len(requests) > MAX_LINES:
            raise InvalidInput(f"The call has more than {MAX_LINES} lines.", reason="too_many_lines")
        places = {asyncio.create_task(self.synthesize(request)): n for n, request in enumerate(requests)}
        left = set(places)
        try:
            while left:
                done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                for task in sorted(done, key=places.__getitem__):
                    yield places[task], _end(task)
        finally:
            for task in left:
                task.cancel()
            await asyncio.gather(*places, return_exceptions=True)

    async def _speak(self, choice: Choice, line: Line) -> bytes:
        sample_rate = choice.capabilities.sample_rate
        samples = await self._batches.speak(choice, line)
        trimmed = await asyncio.to_thread(trim, samples, sample_rate)
        if not trimmed:
            raise InvalidInput("The voice has no sound for this text.", reason=NOTHING_TO_SPEAK)
        return to_wav(trimmed, sample_rate)


def _check(request: Request, text: str) -> None:
    if len(request.text) > MAX_CHARS:
        raise InvalidInput(f"The text is longer than {MAX_CHARS} characters.", reason="text_too_long")
    if not any(char.isalnum() for char in text):
        raise InvalidInput("The text has no word to speak.", reason=NOTHING_TO_SPEAK)
    if not MIN_RATE <= request.rate <= MAX_RATE:
        raise InvalidInput(f"The rate is not between {MIN_RATE} and {MAX_RATE}.", reason="invalid_rate")
    if not 0 <= request.wanted_ms <= MAX_WANTED_MS:
        raise InvalidInput(f"wanted_ms is not between 0 and {MAX_WANTED_MS}.", reason="invalid_length")
    check_key(request.output_prefix)


def _context(request: Request) -> tuple[str, str]:
    """The text before and after the line, without control characters."""
    return clean(request.previous_text[-MAX_CHARS:]), clean(request.next_text[:MAX_CHARS])


def _end(task: asyncio.Task[Speech]) -> Speech | BaseException:
    if task.cancelled():
        return Cancelled("The work was cancelled.", reason="work_cancelled")
    return task.exception() or task.result()


def _key(request: Request, text: str, choice: Choice) -> str:
    inputs: dict[str, object] = {
        "version": _VERSION,
        "text": text,
        "voice": choice.served.id,
        "rate": request.rate,
        "engine": dict(choice.capabilities.info.identity),
    }
    if choice.served.languages:
        inputs["language"] = choice.served.language
    if choice.capabilities.exact and request.wanted_ms:
        inputs["wanted_ms"] = request.wanted_ms
    canonical = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return f"{request.output_prefix}/tts-{hashlib.sha256(canonical.encode()).hexdigest()}.wav"


def _speech(choice: Choice, text: str, audio: ObjectRef, *, cached: bool) -> Speech:
    natural_ms, info = length_ms(audio.size, choice.capabilities.sample_rate), choice.capabilities.info
    use = {
        Measure.CHARACTERS: len(text),
        Measure.UTF8_BYTES: len(text.encode()),
        Measure.AUDIO_SECONDS: natural_ms / 1000,
    }
    return Speech(audio, natural_ms, cached, info, choice.served.id, info.microusd(use))
