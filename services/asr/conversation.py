"""Recognises words and speakers of a whole audio in one call, made once, and keeps the words for Transcribe."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import TypeAdapter

from onevoice_kit.engines.base import EngineInfo, Measure
from onevoice_kit.engines.registry import Candidate
from onevoice_kit.errors import InvalidInput
from onevoice_kit.storage.base import ObjectRef, Storage, check_key
from services.asr.audio_cache import AudioCache
from services.asr.engines.base import (
    Capabilities,
    Conversation,
    ConversationEngine,
    Speaker,
    SpokenWord,
    TimeRange,
    Turn,
    Utterance,
    Word,
)
from services.asr.engines.registry import ConversationEngines, TranscriptionEngines
from services.asr.engines.speakers_pitch import described
from services.asr.spoken import by_region

_log = logging.getLogger(__name__)
_VERSION = "conversation-1"
"""Part of every key; a new one when the same request gives another result."""
_MAX_BYTES = 64 << 20
_JSON = "application/json"
_KEPT = 4
"""Jobs whose words stay decoded in memory."""

Both: TypeAlias = Candidate[ConversationEngine, Capabilities, bool]
"""An engine that finds words and speakers in one call."""
_Plain: TypeAlias = tuple[str, int, int, float]
"""A word: text, start, end, confidence."""


@dataclass(frozen=True, slots=True)
class WantedWords:
    """The words that Transcribe will be asked for."""

    language: str
    """BCP-47."""
    engine: str
    """Name of the engine for words; empty: the first that serves the language."""
    output_prefix: str
    """Key prefix, without a trailing slash."""


@dataclass(frozen=True, slots=True)
class Found:
    """The turns of a conversation and its stored words."""

    turns: tuple[Turn, ...]
    speakers: tuple[Speaker, ...]
    engine: EngineInfo
    words: ObjectRef
    cost_microusd: int | None
    """At list price, millionths of a US dollar, also where the call was made before; None where it is not known."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A conversation as it is stored: all that was paid for."""

    heard_ms: int
    words: list[tuple[str, int, int, float, str]]
    """Text, start, end, confidence, speaker."""


@dataclass(frozen=True, slots=True)
class _Words:
    """Words by region as they are stored for Transcribe."""

    name: str
    model: str
    version: str
    """Of the engine."""
    utterances: list[tuple[int, int, list[_Plain]]]
    """Start, end and words of each region."""


_KEPT_JSON: TypeAdapter[_Kept] = TypeAdapter(_Kept)
_WORDS_JSON: TypeAdapter[_Words] = TypeAdapter(_Words)


class Conversations:
    """Words and speakers by the engine that finds both in one call, where one is configured that Transcribe takes."""

    def __init__(
        self, storage: Storage, audio: AudioCache, engines: ConversationEngines, transcription: TranscriptionEngines
    ) -> None:
        self._storage = storage
        self._audio = audio
        self._engines = engines
        self._transcription = transcription
        self._running: dict[str, asyncio.Task[_Kept]] = {}

    async def find(
        self, ref: ObjectRef, regions: Sequence[TimeRange], count: int, wanted: WantedWords, candidate: Both
    ) -> Found:
        """
        Words and speakers of the regions, by an engine that `candidate` chose. The call goes on to its end and its
        result is stored though its callers cancel, because it is paid for. A repetition waits for it or finds its
        result, by audio, language, number of speakers and engine.

        Raises `InvalidInput` (reasons `invalid_key`, `unverified_object`, those of `AudioFile`), the errors of the
        engine and of the storage.
        """
        check_key(wanted.output_prefix)
        if not ref.sha256:
            raise InvalidInput("The reference to the audio has no checksum.", reason="unverified_object")
        key = _key(ref, wanted, count, candidate)
        spoken = await self._once(key, lambda: self._recognised(key, ref, wanted, count, candidate))
        found = by_region(_words(spoken), regions, count)
        info = candidate.capabilities.info
        async with self._audio.open(ref) as path:
            speakers = await asyncio.to_thread(described, path, found.turns)
        words = await self._store(f"{key.removesuffix('.json')}-words", info, found.utterances)
        return Found(found.turns, speakers, info, words, info.microusd({Measure.AUDIO_SECONDS: spoken.heard_ms / 1000}))

    async def close(self) -> None:
        """Gives up the calls that run."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def candidate(self, regions: Sequence[TimeRange], wanted: WantedWords) -> Both | None:
        """
        The engine that Transcribe takes for the words; None where it finds no speakers or the audio is too long for it:
        the speakers of two calls have no names in common.

        Raises `InvalidInput` (reasons `unsupported_language`, `unknown_engine`), `PreconditionFailed`
        (`engine_unavailable`).
        """
        if not self._engines.names:
            return None
        language = wanted.language

        def serves(one: Capabilities) -> bool | None:
            return True if one.serves(language) else None

        unsupported = InvalidInput(f"“{language}” cannot be recognised here.", reason="unsupported_language")
        transcribing = await self._transcription.candidates(wanted.engine, serves, unsupported)
        name = transcribing[0].capabilities.info.name
        if name not in self._engines.names:
            return None
        found = (await self._engines.candidates(name, serves, unsupported))[0]
        return found if regions[-1].end_ms <= found.capabilities.max_audio_ms else None

    async def _once(self, key: str, work: Callable[[], Awaitable[_Kept]]) -> _Kept:
        """The result of the work under a key, which callers at the same time share."""

        async def run() -> _Kept:
            try:
                return await work()
            finally:
                del self._running[key]

        if key not in self._running:
            self._running[key] = asyncio.create_task(run())
            self._running[key].add_done_callback(_log_error)
        return await asyncio.shield(self._running[key])

    async def _recognised(self, key: str, ref: ObjectRef, wanted: WantedWords, count: int, candidate: Both) -> _Kept:
        if await self._storage.head(key) is not None:
            return _KEPT_JSON.validate_json(await self._storage.get_bytes(key, _MAX_BYTES))
        async with self._audio.open(ref) as path:
            found = await candidate.call(lambda engine: engine.recognise(path, wanted.language, count))
        kept = _kept(found)
        await self._storage.put_bytes(key, _KEPT_JSON.dump_json(kept), _JSON)
        return kept

    async def _store(self, name: str, info: EngineInfo, utterances: Sequence[Utterance]) -> ObjectRef:
        regions = [(one.range.start_ms, one.range.end_ms, list(map(_plain, one.words))) for one in utterances]
        content = _WORDS_JSON.dump_json(_Words(info.name, info.model, info.version, regions))
        return await self._storage.put_bytes(f"{name}-{hashlib.sha256(content).hexdigest()[:16]}.json", content, _JSON)


class KnownWords:
    """Reads the words that `Conversations` stored."""

    def __init__(self, objects: AudioCache) -> None:
        self._objects = objects
        self._kept: dict[str, tuple[EngineInfo, dict[TimeRange, Utterance]]] = {}

    async def read(self, ref: ObjectRef, regions: Sequence[TimeRange]) -> tuple[EngineInfo, list[Utterance]]:
        """
        The engine and the utterances of the regions. Raises `InvalidInput` (reasons `invalid_regions` for a region
        whose words are not among them, `invalid_words`), the errors of the storage.
        """
        engine, utterances = self._kept.get(ref.sha256) or await self._load(ref)
        try:
            return engine, [utterances[region] for region in regions]
        except KeyError:
            raise InvalidInput("A region is none of those whose words are stored.", reason="invalid_regions") from None

    async def _load(self, ref: ObjectRef) -> tuple[EngineInfo, dict[TimeRange, Utterance]]:
        async with self._objects.open(ref) as path:
            content = await asyncio.to_thread(path.read_bytes)
        try:
            words = _WORDS_JSON.validate_json(content)
        except ValueError:
            raise InvalidInput("The stored words have another form.", reason="invalid_words") from None
        utterances = (_utterance(*one) for one in words.utterances)
        engine = EngineInfo(words.name, words.model, words.version)
        self._kept[ref.sha256] = engine, {one.range: one for one in utterances}
        for old in list(self._kept)[:-_KEPT]:
            del self._kept[old]
        return self._kept[ref.sha256]


def _key(ref: ObjectRef, wanted: WantedWords, count: int, candidate: Both) -> str:
    inputs = {
        "version": _VERSION,
        "audio": ref.sha256,
        "language": wanted.language,
        "count": count,
        "engine": dict(candidate.capabilities.info.identity),
    }
    canonical = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return f"{wanted.output_prefix}/conversation-{hashlib.sha256(canonical.encode()).hexdigest()}.json"


def _kept(found: Conversation) -> _Kept:
    return _Kept(found.heard_ms, [(*_plain(one.word), one.speaker) for one in found.words])


def _words(kept: _Kept) -> list[SpokenWord]:
    return [SpokenWord(Word(text, start, end, sure), speaker) for text, start, end, sure, speaker in kept.words]


def _plain(word: Word) -> _Plain:
    return word.text, word.start_ms, word.end_ms, word.confidence


def _utterance(start_ms: int, end_ms: int, words: Sequence[_Plain]) -> Utterance:
    return Utterance(TimeRange(start_ms, end_ms), tuple(Word(*word) for word in words))


def _log_error(task: asyncio.Task[Any]) -> None:
    """Retrieves the error of a call for which none waits any more; asyncio would report it otherwise."""
    if not task.cancelled() and task.exception() is not None:
        _log.info("words and speakers were not found", exc_info=task.exception())
