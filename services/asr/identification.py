"""Identifies the language that is spoken, with one of the configured engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.engines.registry import Candidate, first_result
from onevoice_kit.errors import InvalidInput
from onevoice_kit.storage.base import ObjectRef
from services.asr.audio_cache import AudioCache
from services.asr.engines.base import Capabilities, IdentificationEngine, SpokenLanguage, TimeRange
from services.asr.engines.registry import IdentificationEngines
from services.asr.regions import check_regions


@dataclass(frozen=True, slots=True)
class Identified:
    """A language, and the engine that identified it."""

    spoken: SpokenLanguage
    engine: EngineInfo


class Identification:
    """The use case behind IdentifyLanguage."""

    def __init__(self, audio: AudioCache, engines: IdentificationEngines) -> None:
        self._audio = audio
        self._engines = engines

    async def identify(self, ref: ObjectRef, regions: Sequence[TimeRange], engine_name: str) -> Identified:
        """
        The language of the regions.

        Raises `InvalidInput` (reasons `invalid_regions`, `unknown_engine`), `PreconditionFailed`
        (`engine_unavailable`), the errors of the last engine and of the storage.
        """
        candidates = await self._engines.candidates(engine_name, lambda _: True, _no_engine())
        check_regions(regions)

        async def spoken(one: Candidate[IdentificationEngine, Capabilities, bool]) -> SpokenLanguage:
            async with self._audio.open(ref) as path:
                return await one.call(lambda engine: engine.identify(path, regions))

        served, found = await first_result("identification", candidates, spoken)
        return Identified(found, served.capabilities.info)


def _no_engine() -> InvalidInput:
    return InvalidInput("No engine here identifies languages.", reason="unknown_engine")
