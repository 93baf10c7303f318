"""What an engine of this service takes, returns and says about itself."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol


class Gender(enum.Enum):
    """What a voice sounds like."""

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


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Which engine it is; goes into the lineage of a job and into the key of what it speaks."""

    name: str
    model: str
    version: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do in this deployment."""

    info: EngineInfo
    voices: tuple[Voice, ...]
    """By language; the first of a language is its default, and its order is the order of choice for speakers."""
    sample_rate: int
    """Samples per second of everything it speaks."""
    available: bool
    """Whether it can work now: its program or key is present."""
    missing: str = ""
    """What to install or set where it is not available; a sentence."""


class SynthesisEngine(Protocol):
    """Speaks lines."""

    async def describe(self) -> Capabilities:
        """What it can do here and now. Cheap after the first time."""
        ...

    async def speak(self, text: str, voice: Voice, rate: float) -> bytes:
        """
        The line as samples: mono, 16-bit little endian, `sample_rate` a second. `text` is one line without control
        characters and is spoken as it stands; `rate` 1.0 is natural.

        Raises `Unavailable` where another try may help, `DeadlineExceeded`. Cancelling gives up the work.
        """
        ...

    async def close(self) -> None:
        """Gives back what it holds."""
        ...
