"""Transcribes regions of stored audio with one of the configured engines."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from onevoice_kit.engines.base import EngineInfo, Measure, Use, total_microusd
from onevoice_kit.engines.layers import Limit
from onevoice_kit.engines.registry import Candidate, fallback
from onevoice_kit.errors import InvalidInput
from onevoice_kit.storage.base import ObjectRef
from onevoice_kit.telemetry.metrics import Metric, counter
from services.asr.audio_cache import AudioCache
from services.asr.conversation import KnownWords
from services.asr.engines.base import Capabilities, TimeRange, TranscriptionEngine, Utterance
from services.asr.engines.registry import TranscriptionEngines
from services.asr.regions import check_regions

RECOGNISED_SECONDS = Metric(
    "asr_recognised_seconds_total", "Speech turned into words, by engine. Unit: seconds of audio.", ("engine",)
)

_Candidate = Candidate[TranscriptionEngine, Capabilities, str]


@dataclass(frozen=True, slots=True)
class Recognised:
    """The engine that recognised the regions of a call, and the cost."""

    engine: EngineInfo
    cost_microusd: int | None
    """At list price, millionths of a US dollar; None where it is not known; 0 for words that were known."""


class Transcription:
    """The use case behind Transcribe."""

    def __init__(self, audio: AudioCache, engines: TranscriptionEngines, limit: Limit) -> None:
        """`limit` bounds the calls that run and wait at once."""
        self._audio = audio
        self._engines = engines
        self._limit = limit
        self._known = KnownWords(audio)

    async def known(
        self, words: ObjectRef, regions: Sequence[TimeRange], emit: Callable[[Utterance], Awaitable[None]]
    ) -> Recognised:
        """
        Passes one utterance for each region to `emit`, of the words that Diarize stored. No engine is called, and the
        cost is in the result of Diarize. Raises `InvalidInput` (reasons `invalid_regions`, `invalid_words`), the errors
        of the storage.
        """
        check_regions(regions)
        engine, utterances = await self._known.read(words, regions)
        for utterance in utterances:
            await emit(utterance)
            counter(RECOGNISED_SECONDS).labels(engine=engine.name).inc(utterance.range.length_ms / 1000)
        return Recognised(engine, 0)

    async def transcribe(
        self,
        ref: ObjectRef,
        regions: Sequence[TimeRange],
        language: str,
        engine_name: str,
        report: Callable[[float], None],
        emit: Callable[[Utterance], Awaitable[None]],
    ) -> Recognised:
        """
        Passes one utterance for each region to `emit`, in time order, and the share of speech done to `report`.

        An engine that fails for a while before its first utterance is replaced by the next that serves the language,
        unless it was named. Raises `InvalidInput` (reasons `invalid_regions`, `unknown_engine`,
        `unsupported_language`, those of `AudioFile`), `PreconditionFailed` (`engine_unavailable`), `Busy`
        (`queue_full`), the errors of the last engine and of the storage. A cancelled call drops the regions that are
        not begun.
        """
        candidates = await self._candidates(engine_name, language, regions)
        total = sum(region.length_ms for region in regions)
        done, used, uses = 0, candidates[0], list[Use]()
        async with (
            self._limit.place(),
            self._audio.open(ref) as path,
            aclosing(self._utterances(candidates, path, regions)) as utterances,
        ):
            async for used, utterance in utterances:
                await emit(utterance)
                length_ms = utterance.range.length_ms
                sent_s = length_ms / 1000 if utterance.sent_s is None else utterance.sent_s
                uses.append({Measure.AUDIO_SECONDS: sent_s})
                counter(RECOGNISED_SECONDS).labels(engine=used.capabilities.info.name).inc(length_ms / 1000)
                done += length_ms
                report(done / total)
        info = used.used(used.capabilities.info)
        return Recognised(info, total_microusd(info.prices, uses))

    async def _candidates(self, name: str, language: str, regions: Sequence[TimeRange]) -> list[_Candidate]:
        """The engines that serve the language and take regions as long as these."""
        candidates = await self._engines.candidates(
            name, lambda one: language if one.serves(language) else None, _unsupported(language)
        )
        check_regions(regions, max(one.capabilities.max_chunk_ms for one in candidates))
        longest = max(region.length_ms for region in regions)
        return [one for one in candidates if one.capabilities.max_chunk_ms >= longest]

    def _utterances(
        self, candidates: Sequence[_Candidate], path: Path, regions: Sequence[TimeRange]
    ) -> AsyncGenerator[tuple[_Candidate, Utterance]]:
        return fallback(
            "transcription",
            candidates,
            lambda one: one.stream(lambda engine: engine.transcribe(path, regions, one.served)),
        )


def _unsupported(language: str) -> InvalidInput:
    return InvalidInput(
        f"The language “{language}” cannot be recognised here.",
        reason="unsupported_language",
        details={"language": language},
    )
