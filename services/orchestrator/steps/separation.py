"""The step that separates voice and background, so that the background stays under the dub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from onevoice_kit.errors import DeadlineExceeded, Internal, InvalidInput, NotFound, PreconditionFailed

from ..clients.asr import NOT_SEPARATED, DetectedSpeech, Separated
from ..clients.mixer import Sound
from ..policy.line import EngineUse
from .context import Tools
from .graph import Given, Handle
from .task import Task

_NO_ENGINE = "No engine here separates voice and background."


@dataclass(frozen=True, kw_only=True)
class Separate(Task[Separated]):
    """Separates the voices of the programme from its background."""

    stage: ClassVar = "asr"
    sound: Handle[Sound]
    speech: Handle[DetectedSpeech]
    """Not read: a source without speech is not worth the work, and its job ends while nothing is stored for it."""
    engine: str
    """Empty: the first configured one that can work."""
    engines: Handle[list[EngineUse]]
    """Those that can work; another one, or another version of one, gives other stems."""

    async def run(self, tools: Tools, given: Given) -> Separated:
        """
        Returns the stems; none, with the reason, where the programme is to be ducked: a dub without separation is
        better than no dub. A service that is away is waited for, as for every step.
        """
        if not given(self.engines):
            return Separated(NOT_SEPARATED, reason=_NO_ENGINE)
        sound = given(self.sound)
        try:
            return await tools.clients.asr.separate(
                sound.programme, sound.duration_ms, tools.prefix("asr"), self.engine
            )
        except (DeadlineExceeded, Internal, InvalidInput, NotFound, PreconditionFailed) as error:
            return Separated(NOT_SEPARATED, reason=error.message)
