"""The protocol of synthesis engines: the line they speak, the samples they give, their voices."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

from onevoice_kit.engines import base


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
    """BCP-47 language it speaks."""
    gender: Gender
    engine: str
    pitch_hz: int = 0
    """Median pitch of its speech; 0 where it is not known."""


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


class SynthesisEngine(base.Engine[Capabilities], Protocol):
    """Speaks lines."""

    async def speak(self, text: str, voice: Voice, rate: float) -> bytes:
        """
        The line as samples: mono, 16-bit little endian, `sample_rate` a second. `text` is one line without control
        characters, in words unless the engine `normalises`, and is spoken as it stands; `rate` 1.0 is natural.

        Raises `Unavailable` where another attempt may help, `DeadlineExceeded`. Cancelling gives up the work.
        """
        ...
