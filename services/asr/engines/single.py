"""Diarization for one speaker: everything is said by `speaker_1`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from services.asr.engines.base import Capabilities, EngineInfo, TimeRange, Turn
from services.asr.settings import AsrSettings


class SingleSpeaker:
    """The engine `single`."""

    capabilities = Capabilities(EngineInfo("single", "", "1"), languages=())
    reads_audio = False

    def available(self) -> bool:
        """Always."""
        return True

    async def diarize(self, audio: Path | None, regions: Sequence[TimeRange]) -> Sequence[Turn]:  # noqa: ARG002
        """One turn for each region."""
        return [Turn(region, "speaker_1") for region in regions]

    async def close(self) -> None:
        """Holds nothing."""


def create(settings: AsrSettings) -> SingleSpeaker:  # noqa: ARG001
    """The engine as the settings want it."""
    return SingleSpeaker()
