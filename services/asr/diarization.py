"""Finds the speaker of each region, with one of the configured engines."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.engines.registry import Candidate, first_result
from onevoice_kit.errors import InvalidInput
from onevoice_kit.storage.base import ObjectRef
from services.asr.audio_cache import AudioCache
from services.asr.engines.base import Capabilities, DiarizationEngine, Diarized, Speaker, TimeRange, Turn
from services.asr.engines.registry import DiarizationEngines
from services.asr.regions import check_regions

MAX_SPEAKERS = 20


@dataclass(frozen=True, slots=True)
class Speakers:
    """The turns of the speakers, what their voices are like, and the engine that found them."""

    turns: tuple[Turn, ...]
    speakers: tuple[Speaker, ...]
    engine: EngineInfo


class Diarization:
    """The use case behind Diarize."""

    def __init__(self, audio: AudioCache, engines: DiarizationEngines) -> None:
        self._audio = audio
        self._engines = engines

    async def diarize(self, ref: ObjectRef, regions: Sequence[TimeRange], count: int, engine_name: str) -> Speakers:
        """
        Turns in time order that cover every region. `count` is the number of speakers, 0 where it is to be estimated.

        Raises `InvalidInput` (reasons `invalid_regions`, `invalid_speakers`, `unknown_engine`), `PreconditionFailed`
        (`engine_unavailable`), the errors of the last engine and of the storage.
        """
        if not 0 <= count <= MAX_SPEAKERS:
            raise InvalidInput(f"speakers must be between 0 and {MAX_SPEAKERS}.", reason="invalid_speakers")
        candidates = await self._engines.candidates(engine_name, lambda _: True, _no_engine())
        check_regions(regions)

        async def speakers(one: Candidate[DiarizationEngine, Capabilities, bool]) -> Diarized:
            async with AsyncExitStack() as stack:
                path = await stack.enter_async_context(self._audio.open(ref)) if one.engine.reads_audio else None
                return await one.call(lambda engine: engine.diarize(path, regions, count))

        served, found = await first_result("diarization", candidates, speakers)
        return Speakers(found.turns, found.speakers, served.capabilities.info)


def _no_engine() -> InvalidInput:
    return InvalidInput("No engine here finds the speakers.", reason="unknown_engine")
