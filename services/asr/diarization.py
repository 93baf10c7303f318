"""Says who speaks when, with one of the configured engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onevoice_kit.storage.base import ObjectRef
from services.asr.audio_cache import AudioCache
from services.asr.engines.base import DiarizationEngine, EngineInfo, TimeRange, Turn
from services.asr.engines.registry import Registry
from services.asr.ranges import check_regions


@dataclass(frozen=True, slots=True)
class Speakers:
    """Who speaks when, and which engine says so."""

    turns: tuple[Turn, ...]
    engine: EngineInfo


class Diarization:
    """The use case behind Diarize."""

    def __init__(self, audio: AudioCache, engines: Registry[DiarizationEngine]) -> None:
        self._audio = audio
        self._engines = engines

    async def diarize(self, ref: ObjectRef, regions: Sequence[TimeRange], engine_name: str) -> Speakers:
        """
        Turns in time order that cover every region.

        Raises `InvalidInput` (reasons `invalid_regions`, `unknown_engine`), `PreconditionFailed`
        (`engine_unavailable`) and what the storage raises.
        """
        engine = self._engines.choose(engine_name)
        check_regions(regions)
        return Speakers(tuple(await self._turns(engine, ref, regions)), engine.capabilities.info)

    async def _turns(self, engine: DiarizationEngine, ref: ObjectRef, regions: Sequence[TimeRange]) -> Sequence[Turn]:
        if not engine.reads_audio:
            return await engine.diarize(None, regions)
        async with self._audio.open(ref) as path:
            return await engine.diarize(path, regions)
