"""Finds the speaker of each region, with one of the configured engines; some find the words in the same call."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.engines.layers import does_not_work
from onevoice_kit.engines.registry import Candidate, first_result
from onevoice_kit.errors import InvalidInput, OneVoiceError
from onevoice_kit.retry import is_transient
from onevoice_kit.storage.base import ObjectRef
from onevoice_kit.telemetry.metrics import ENGINE_FALLBACKS, counter
from services.asr.audio_cache import AudioCache
from services.asr.conversation import Conversations, Found, WantedWords
from services.asr.engines.base import Capabilities, DiarizationEngine, Diarized, Speaker, TimeRange, Turn
from services.asr.engines.registry import DiarizationEngines
from services.asr.regions import check_regions

_log = logging.getLogger(__name__)
MAX_SPEAKERS = 20


@dataclass(frozen=True, slots=True)
class Speakers:
    """The turns of the speakers, what their voices are like, and the engine that found them."""

    turns: tuple[Turn, ...]
    speakers: tuple[Speaker, ...]
    engine: EngineInfo
    words: ObjectRef | None = None
    """The words of every region, for Transcribe; None where the engine found speakers alone."""
    cost_microusd: int | None = 0
    """At list price, millionths of a US dollar; None where it is not known."""


class Diarization:
    """The use case behind Diarize."""

    def __init__(
        self, audio: AudioCache, engines: DiarizationEngines, conversations: Conversations | None = None
    ) -> None:
        self._audio = audio
        self._engines = engines
        self._conversations = conversations

    async def diarize(
        self,
        ref: ObjectRef,
        regions: Sequence[TimeRange],
        count: int,
        engine_name: str,
        wanted: WantedWords | None = None,
    ) -> Speakers:
        """
        Turns in time order that cover every region. `count` is the number of speakers, 0 where it is to be estimated.
        Where words are `wanted` as well and the engine that Transcribe takes finds both in one call, it makes them;
        else, and where it fails for a while or does not work, the engines for speakers alone serve.

        Raises `InvalidInput` (reasons `invalid_regions`, `invalid_speakers`, `unknown_engine`), `PreconditionFailed`
        (`engine_unavailable`), the errors of `Conversations`, of the last engine and of the storage.
        """
        if not 0 <= count <= MAX_SPEAKERS:
            raise InvalidInput(f"speakers must be between 0 and {MAX_SPEAKERS}.", reason="invalid_speakers")
        if wanted and not engine_name and (both := await self._with_words(ref, regions, count, wanted)):
            return Speakers(both.turns, both.speakers, both.engine, both.words, both.cost_microusd)
        candidates = await self._engines.candidates(engine_name, lambda _: True, _no_engine())
        check_regions(regions)

        async def speakers(one: Candidate[DiarizationEngine, Capabilities, bool]) -> Diarized:
            async with AsyncExitStack() as stack:
                path = await stack.enter_async_context(self._audio.open(ref)) if one.engine.reads_audio else None
                return await one.call(lambda engine: engine.diarize(path, regions, count))

        served, found = await first_result("diarization", candidates, speakers)
        return Speakers(found.turns, found.speakers, served.capabilities.info)

    async def _with_words(
        self, ref: ObjectRef, regions: Sequence[TimeRange], count: int, wanted: WantedWords
    ) -> Found | None:
        if self._conversations is None:
            return None
        check_regions(regions)
        candidate = await self._conversations.candidate(regions, wanted)
        if candidate is None:
            return None
        try:
            return await self._conversations.find(ref, regions, count, wanted, candidate)
        except OneVoiceError as error:
            if not self._engines.names or not (is_transient(error) or does_not_work(error)):
                raise
            engine = candidate.capabilities.info.name
            counter(ENGINE_FALLBACKS).labels(stage="conversation", engine=engine).inc()
            _log.warning("an engine failed; the next one takes over", extra={"engine": engine}, exc_info=True)
            return None


def _no_engine() -> InvalidInput:
    return InvalidInput("No engine here finds the speakers.", reason="unknown_engine")
