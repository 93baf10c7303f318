"""Engine `single`: diarization for one speaker, `speaker_1`, in every region."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from onevoice_kit.engines.base import EngineInfo
from services.asr.engines.base import Capabilities, Diarized, TimeRange, Turn
from services.asr.settings import AsrSettings


class SingleSpeaker:
    """The engine `single`."""

    reads_audio = False

    async def describe(self) -> Capabilities:
        return Capabilities(info=EngineInfo("single", version="1"))

    async def warm(self) -> None:
        """Has nothing to load."""

    async def diarize(self, audio: Path | None, regions: Sequence[TimeRange], count: int) -> Diarized:  # noqa: ARG002
        """One turn for each region."""
        return Diarized(tuple(Turn(region, "speaker_1") for region in regions))

    async def close(self) -> None:
        """Holds nothing."""


def create(settings: AsrSettings) -> SingleSpeaker:  # noqa: ARG001
    """The engine as the settings want it."""
    return SingleSpeaker()
