"""The capabilities of this deployment, cached for a short while, and the check of a job against them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from onevoice_kit.errors import InvalidInput, NotFound
from onevoice_kit.languages import best, ranked
from onevoice_kit.storage.base import ObjectRef
from services.gateway.clients.stages import AsrEngines, EngineInfo, VoiceInfo

T = TypeVar("T")


class Remembered(Generic[T]):
    """One value, fetched again when older than `ttl_s`; callers at the same time share one fetch and its error."""

    def __init__(self, fetch: Callable[[], Coroutine[Any, Any, T]], ttl_s: float) -> None:
        self._fetch = fetch
        self._ttl_s = ttl_s
        self._fetching: asyncio.Task[T] | None = None
        self._fetched_at = -math.inf

    async def get(self) -> T:
        """The value, at most `ttl_s` old. An error is raised to all callers that wait for it, and not remembered."""
        if self._fetching is None or self._is_over(self._fetching):
            self._fetching = asyncio.create_task(self._fetch_anew())
        # Shielded: a caller that goes away does not take the others' answer along.
        return await asyncio.shield(self._fetching)

    def _is_over(self, task: asyncio.Task[T]) -> bool:
        return task.done() and time.monotonic() >= self._fetched_at + self._ttl_s

    async def _fetch_anew(self) -> T:
        # Noted within the task, so that a caller that finds it done finds its age too. A failure leaves it old.
        self._fetched_at = -math.inf
        value = await self._fetch()
        self._fetched_at = time.monotonic()
        return value


@dataclass(frozen=True, slots=True)
class EngineNeeds:
    """The engines that a job needs."""

    source_language: str | None
    target_languages: tuple[str, ...]
    voices: Mapping[str, str | Mapping[str, str]]
    asr_engine: str | None = None
    translate_engine: str | None = None
    tts_engine: str | None = None
    separation_engine: str | None = None


@dataclass(frozen=True, slots=True)
class Languages:
    """Languages by what they can be used for. Pairs are source and target; the target can also be spoken."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Engines:
    """Engines by stage."""

    transcription: tuple[EngineInfo, ...]
    diarization: tuple[EngineInfo, ...]
    translation: tuple[EngineInfo, ...]
    synthesis: tuple[EngineInfo, ...]
    detection: tuple[EngineInfo, ...] = ()
    identification: tuple[EngineInfo, ...] = ()
    separation: tuple[EngineInfo, ...] = ()


class Stages(Protocol):
    """Lists the capabilities of the stages (`clients.stages.StageClient`)."""

    async def asr_engines(self) -> AsrEngines: ...

    async def translation_engines(self) -> tuple[EngineInfo, ...]: ...

    async def tts_engines(self) -> tuple[EngineInfo, ...]: ...

    async def voices(self) -> tuple[VoiceInfo, ...]: ...

    async def sample(self, voice: str, language: str) -> ObjectRef | str: ...


class Catalogue:
    """Engines, languages and voices of the stages."""

    def __init__(self, stages: Stages, ttl_s: float) -> None:
        self._stages = stages
        self._asr: Remembered[AsrEngines] = Remembered(stages.asr_engines, ttl_s)
        self._translation: Remembered[tuple[EngineInfo, ...]] = Remembered(stages.translation_engines, ttl_s)
        self._synthesis: Remembered[tuple[EngineInfo, ...]] = Remembered(stages.tts_engines, ttl_s)
        self._voices: Remembered[tuple[VoiceInfo, ...]] = Remembered(stages.voices, ttl_s)

    async def engines(self) -> Engines:
        """Every engine of every stage."""
        asr, translation, synthesis = await asyncio.gather(
            self._asr.get(), self._translation.get(), self._synthesis.get()
        )
        return Engines(
            transcription=asr.transcription,
            diarization=asr.diarization,
            translation=translation,
            synthesis=synthesis,
            detection=asr.detection,
            identification=asr.identification,
            separation=asr.separation,
        )

    async def voices(self, language: str | None = None) -> tuple[VoiceInfo, ...]:
        """Every voice, or those that serve a language, each with its nearest one, the nearest first."""
        voices = await self._voices.get()
        if language is None:
            return voices
        near = {tag: place for place, tag in enumerate(ranked(language, (tag for one in voices for tag in one.speaks)))}
        nearest = [(best(language, voice.speaks), voice) for voice in voices]
        found = [replace(voice, language=tag) for tag, voice in nearest if tag is not None]
        return tuple(sorted(found, key=lambda voice: near[voice.language]))

    async def sample(self, voice_id: str, language: str | None = None) -> ObjectRef | str:
        """
        The sample of a voice: an object of the storage, or the address of its vendor's recording. Raises `NotFound`
        (`unknown_voice`, `no_sample`), `InvalidInput` (`voice_language_mismatch`).
        """
        if not any(voice.id == voice_id for voice in await self._voices.get()):
            raise NotFound(f"There is no voice {voice_id}.", reason="unknown_voice")
        return await self._stages.sample(voice_id, language or "")

    async def languages(self) -> Languages:
        """Languages that can be dubbed from and into."""
        engines = await self.engines()
        sources = _languages(engines.transcription)
        spoken = _languages(engines.synthesis)
        pairs = sorted(p for p in _pairs(engines.translation) if p[0] in sources and p[1] in spoken)
        return Languages(
            sources=tuple(sorted({source for source, _ in pairs})),
            targets=tuple(sorted({target for _, target in pairs})),
            pairs=tuple(pairs),
        )

    async def check(self, needs: EngineNeeds) -> str | None:
        """
        The source language, once every need can be met; None where the job is to identify it. Raises `InvalidInput`
        with reason `unknown_engine`, `source_language_required`, `unsupported_language_pair` or `unknown_voice`.
        """
        engines = await self.engines()
        recognisers = _chosen(engines.transcription, needs.asr_engine, "transcription")
        translators = _chosen(engines.translation, needs.translate_engine, "translation")
        speakers = _chosen(engines.synthesis, needs.tts_engine, "synthesis")
        _chosen(engines.separation, needs.separation_engine, "separation")
        heard, pairs, spoken = _languages(recognisers), _pairs(translators), _languages(speakers)
        source = needs.source_language or (next(iter(heard)) if len(heard) == 1 else None)
        if source is None and not any(engine.available for engine in engines.identification):
            raise InvalidInput("Name the language that is spoken.", reason="source_language_required")
        # A source language that is yet to be identified may be any that is recognised.
        sources = heard if source is None else {source} if best(source, heard) else set()
        for target in needs.target_languages:
            if best(target, spoken) is None or not any(_translates(one, target, pairs) for one in sources):
                raise _unsupported(source or "any language", target)
        if needs.voices:
            _check_voices(needs, await self._voices.get())
        return source


def _unsupported(source: str, target: str) -> InvalidInput:
    return InvalidInput(
        f"Dubbing from {source} to {target} is not available here.",
        reason="unsupported_language_pair",
        details={"source_language": source, "target_language": target},
    )


def _languages(engines: Sequence[EngineInfo]) -> frozenset[str]:
    return frozenset(language for engine in engines if engine.available for language in engine.languages)


def _pairs(engines: Sequence[EngineInfo]) -> frozenset[tuple[str, str]]:
    return frozenset(pair for engine in engines if engine.available for pair in engine.pairs)


def _translates(source: str, target: str, pairs: frozenset[tuple[str, str]]) -> bool:
    """True if a pair serves the two, region or not: `en-GB` to `es-MX` is served by `en` to `es`."""
    sources = {known for known, _ in pairs}
    served = best(source, sources)
    return served is not None and best(target, {to for known, to in pairs if known == served}) is not None


def _chosen(engines: Sequence[EngineInfo], name: str | None, stage: str) -> Sequence[EngineInfo]:
    if name is None:
        return engines
    found = [engine for engine in engines if engine.name == name and engine.available]
    if not found:
        details = {"stage": stage, "engine": name}
        raise InvalidInput(f"There is no {stage} engine {name} here.", reason="unknown_engine", details=details)
    return found


def _check_voices(needs: EngineNeeds, voices: Sequence[VoiceInfo]) -> None:
    by_id = {voice.id: voice for voice in voices}
    for language, choice in needs.voices.items():
        if language not in needs.target_languages:
            raise _unknown_voice(f"Voices are given for {language}, which is not a target language.", language)
        for voice_id in [choice] if isinstance(choice, str) else choice.values():
            voice = by_id.get(voice_id)
            if voice is None or best(language, voice.speaks) is None:
                raise _unknown_voice(f"There is no voice {voice_id} for {language}.", language, voice=voice_id)
            if needs.tts_engine not in (None, voice.engine):
                raise _unknown_voice(f"The voice {voice_id} is not of the engine asked for.", language, voice=voice_id)


def _unknown_voice(message: str, language: str, **details: Any) -> InvalidInput:
    return InvalidInput(message, reason="unknown_voice", details={"language": language, **details})
