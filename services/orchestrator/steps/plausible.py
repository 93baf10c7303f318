"""The check of recognised words before anything is made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from onevoice_kit.errors import PreconditionFailed

from ..clients.asr import DetectedSpeech
from ..policy.line import Source
from ..policy.plausibility import doubtful, little_speech, too_doubtful
from .context import Tools
from .graph import Given, Handle
from .task import Task

PASSED: Final = "passed"
"""Key of the output; the same for all words that passed, so that nothing else depends on what they were."""
DOUBT: Final = "doubtful_ms"
"""Key of the output: spoken time of lines in doubt, up to the end of the chunk."""


@dataclass(frozen=True, kw_only=True)
class CheckWords(Task[dict[str, int]]):
    """Stops a job whose words cannot be right, before they are translated and spoken for money."""

    stage: ClassVar = "store"
    pure: ClassVar = True
    chunk: int
    speech: Handle[DetectedSpeech]
    lines: Handle[dict[str, Source]]
    before: tuple[Handle[int], ...]
    """The doubt up to the chunk before; none for the first."""

    async def run(self, tools: Tools, given: Given) -> dict[str, int]:
        """
        Returns the doubt. `PreconditionFailed` `little_speech` where hardly anyone speaks, `transcript_implausible`
        where most of the words so far are in doubt; the details name the cause.
        """
        speech = given(self.speech)
        if little_speech(speech.regions, speech.duration_ms):
            message = "Less than 5 % of the video is speech. Send force=true to dub it all the same."
            raise PreconditionFailed(message, reason="little_speech")
        found = doubtful(list(given(self.lines).values()))
        doubt_ms = sum(given.each(self.before)) + sum(found.values())
        heard = [region for regions in speech.chunks[: self.chunk + 1] for region in regions]
        if too_doubtful(doubt_ms, sum(end - start for start, end in heard)):
            cause = max(found, key=lambda doubt: found[doubt], default="")
            message = (
                "Most of what was recognised cannot be what is said. Name the language or another engine for "
                "recognition, or send force=true to dub it all the same."
            )
            raise PreconditionFailed(message, reason="transcript_implausible", details={"cause": cause})
        return {PASSED: 1, DOUBT: doubt_ms}
