"""The protocol of synthesis engines: the line they speak, the samples they give, their voices."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from onevoice_kit.engines import base
from onevoice_kit.errors import OneVoiceError


class Gender(enum.Enum):
    """The sound of a voice."""

    UNKNOWN = enum.auto()
    FEMALE = enum.auto()
    MALE = enum.auto()
    NEUTRAL = enum.auto()


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice."""

    id: str
    """`engine:name`, unique within the deployment."""
    name: str
    """For people."""
    language: str
    """BCP-47 language it speaks; of several the one of a call, else the first."""
    gender: Gender
    engine: str
    pitch_hz: int = 0
    """Median pitch of its speech; 0 where it is not known."""
    languages: tuple[str, ...] = ()
    """Every language of a voice that speaks several, its own first."""

    @property
    def speaks(self) -> tuple[str, ...]:
        """Every language it speaks."""
        return self.languages or (self.language,)

    @property
    def native(self) -> bool:
        """True where the language is the voice's own, for a call in it."""
        return self.language == self.speaks[0]

    def speaking(self, language: str) -> Voice:
        """The voice for a call in one of its languages."""
        return replace(self, language=language)


@dataclass(frozen=True, slots=True)
class Line:
    """A line as an engine gets it."""

    text: str
    """Without control characters, in words unless the engine `normalises`; it is spoken as it stands."""
    voice: Voice
    rate: float = 1.0
    """1.0 is natural."""
    previous_text: str = ""
    """The text of the same speaker just before it; context for the intonation alone, as is the next."""
    next_text: str = ""
    wanted_ms: int = 0
    """Length that an engine with `exact` keeps, where the rate stays within that of a dub; 0 for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities(base.Capabilities):
    """The properties of a synthesis engine in this deployment."""

    voices: tuple[Voice, ...] = ()
    """By language; the first of a language is its default, and its order is the order of choice for speakers."""
    sample_rate: int = 0
    """Samples per second of everything it speaks."""
    min_rate: float = 0.5
    """Slowest rate that it speaks; a slower one is spoken at this."""
    max_rate: float = 2.0
    normalises: bool = False
    """True where the engine reads numbers, dates and units itself; another one gets them as words."""
    exact: bool = False
    """True where the engine speaks a line in the length that is wanted."""
    batch: int = 1
    """Lines that it speaks at once in one call; an engine with more than 1 is a `BatchEngine`."""
    recordings: bool = False
    """True where its vendor has recordings of its voices; such an engine is a `RecordedEngine`."""


class SynthesisEngine(base.Engine[Capabilities], Protocol):
    """Speaks lines."""

    async def speak(self, line: Line) -> bytes:
        """
        The line as samples: mono, 16-bit little endian, `sample_rate` a second.

        Raises `Unavailable` where another attempt may help, `DeadlineExceeded`. Cancelling gives up the work.
        """
        ...


class BatchEngine(SynthesisEngine, Protocol):
    """Speaks several lines at once where that is faster than one after the other."""

    async def speak_many(self, lines: Sequence[Line]) -> Sequence[bytes | OneVoiceError]:
        """
        The samples or the error of each line, in their order: of 2 up to `batch` lines, whatever their voices and
        languages. Each sounds as it does alone. Raises as `speak` does where all of them failed.
        """
        ...


class RecordedEngine(SynthesisEngine, Protocol):
    """Its vendor has a recording of each voice."""

    async def recording(self, voice: Voice) -> str:
        """The address of the vendor's recording of a voice; empty where it has none. Raises as `speak` does."""
        ...
