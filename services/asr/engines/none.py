"""Engine `none`: separates nothing, so that the original is ducked under the dub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.errors import PreconditionFailed
from services.asr.engines.base import Capabilities, Stems
from services.asr.settings import AsrSettings

INFO = EngineInfo("none", version="1")


class NoSeparation:
    """The engine `none`."""

    separates = False

    async def describe(self) -> Capabilities:
        return Capabilities(info=INFO)

    async def warm(self) -> None:
        """Has nothing to load."""

    async def separate(self, programme: Path, stems: Stems, report: Callable[[float], None]) -> None:  # noqa: ARG002
        """Refuses: the programme stays whole."""
        raise PreconditionFailed("The engine “none” separates nothing.", reason="not_separated")

    async def close(self) -> None:
        """Holds nothing."""


def create(settings: AsrSettings) -> NoSeparation:  # noqa: ARG001
    """The engine as the settings want it."""
    return NoSeparation()
