"""What an engine of this service takes, returns and says about itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from onevoice_kit.languages import best


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A half-open range on the timeline of the source, milliseconds."""

    start_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        """How long it is."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True)
class Word:
    """A recognised word with its times on the timeline of the source."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float
    """Posterior probability, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """What was said in one region; no words where nothing was intelligible."""

    range: TimeRange
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch of time in which one speaker speaks."""

    range: TimeRange
    speaker: str
    """`speaker_1`, `speaker_2`, …"""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Which engine it is; goes into the lineage of a job."""

    name: str
    model: str
    version: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do; declared, never probed."""

    info: EngineInfo
    languages: tuple[str, ...]
    """BCP-47; a language without region serves all its regions. Empty for any."""
    max_chunk_ms: int = 60_000
    """Longest stretch of audio it takes in one call."""

    def serves(self, language: str) -> bool:
        """Whether the engine knows a BCP-47 language."""
        return not self.languages or best(language, self.languages) is not None


class TranscriptionEngine(Protocol):
    """Turns regions of an audio file (16 kHz, mono) into words with times."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    def available(self) -> bool:
        """Whether it can work in this deployment now (its model or key is present)."""
        ...

    async def start(self) -> None:
        """Loads what the first call would otherwise wait for."""
        ...

    def transcribe(self, audio: Path, regions: Sequence[TimeRange], language: str) -> AsyncIterator[Utterance]:
        """
        One utterance for each region, in the order of the regions, each as soon as it is ready. Closing the
        iterator gives up what has not begun. Raises `Unavailable` where another try may help.
        """
        ...

    async def close(self) -> None:
        """Gives back what it holds."""
        ...


class DiarizationEngine(Protocol):
    """Says who speaks in which region."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    @property
    def reads_audio(self) -> bool:
        """Whether it listens at all; the audio is fetched only then."""
        ...

    def available(self) -> bool:
        """Whether it can work in this deployment now."""
        ...

    async def diarize(self, audio: Path | None, regions: Sequence[TimeRange]) -> Sequence[Turn]:
        """Turns in time order that cover every region. `audio` is None for an engine that does not read it."""
        ...

    async def close(self) -> None:
        """Gives back what it holds."""
        ...
