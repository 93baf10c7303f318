"""The checks of the language and of recognised words before anything is made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from onevoice_kit.errors import PreconditionFailed

from ..clients.asr import DetectedSpeech
from ..clients.mixer import Media, Sound
from ..policy.line import EngineUse, Source
from ..policy.plausibility import doubtful, little_speech, too_doubtful, wrong_language
from .context import Tools
from .graph import Given, Handle
from .task import Task

PASSED: Final = "passed"
"""Key of the output; the same for all words that passed, so that nothing else depends on what they were."""
DOUBT: Final = "doubtful_ms"
"""Key of the output: spoken time of lines in doubt, up to the end of the chunk."""


@dataclass(frozen=True, kw_only=True)
class CheckLanguage(Task[dict[str, int]]):
    """Stops a job whose source is not in the language that its user or its file names: its words would be made up."""

    stage: ClassVar = "asr"
    media: Handle[Media]
    sound: Handle[Sound]
    speech: Handle[DetectedSpeech]
    engines: Handle[list[EngineUse]]
    """Those that identify languages; where there are none, nothing is checked."""
    named: str | None

    async def run(self, tools: Tools, given: Given) -> dict[str, int]:
        """Returns no doubt. `PreconditionFailed` `wrong_language` where another language is heard; details name it."""
        named, speech = self.named or given(self.media).audio_language, given(self.speech)
        if not named or not given(self.engines):
            return {PASSED: 1, DOUBT: 0}
        # The first chunk costs a third of the whole; it may be a song, so it alone stops no job.
        for regions in (speech.chunks[0], speech.regions):
            heard = await tools.clients.asr.identify(given(self.sound).speech, regions, named)
            if not wrong_language(heard.probability, heard.expected_probability):
                return {PASSED: 1, DOUBT: 0}
        message = (
            f"The speech is in “{heard.language}”, not in “{named}”. Name its language as source_language, or "
            "send force=true to dub it all the same."
        )
        details = {"named": named, "heard": heard.language}
        raise PreconditionFailed(message, reason="wrong_language", details=details)


@dataclass(frozen=True, kw_only=True)
class CheckWords(Task[dict[str, int]]):
    """Stops a job whose words cannot be right, before they are translated and spoken for money."""

    stage: ClassVar = "store"
    pure: ClassVar = True
    chunk: int
    speech: Handle[DetectedSpeech]
    lines: Handle[dict[str, Source]]
    before: Handle[int]
    """The doubt up to the chunk before; for the first chunk that of the language."""

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
        doubt_ms = given(self.before) + sum(found.values())
        heard = [region for regions in speech.chunks[: self.chunk + 1] for region in regions]
        if too_doubtful(doubt_ms, sum(end - start for start, end in heard)):
            cause = max(found, key=lambda doubt: found[doubt], default="")
            message = (
                "Most of what was recognised cannot be what is said. Name the language or another engine for "
                "recognition, or send force=true to dub it all the same."
            )
            raise PreconditionFailed(message, reason="transcript_implausible", details={"cause": cause})
        return {PASSED: 1, DOUBT: doubt_ms}
