"""The protocols of the engines of this stage, one for each kind, and the values that they share."""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from onevoice_kit.engines import base
from onevoice_kit.languages import best
from services.asr.audio import Samples

FRAME_SAMPLES = 512
"""Samples (of 16 kHz) that get one probability of speech."""
FRAME_MS = 32


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A half-open range on the timeline of the source, milliseconds."""

    start_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        """Length of the range, milliseconds."""
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
    """The words of one region; none where nothing was intelligible."""

    range: TimeRange
    words: tuple[Word, ...]
    sent_s: float | None = None
    """Seconds of audio that a vendor got for it, some around the region included; None: the region alone."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch of time in which one speaker speaks."""

    range: TimeRange
    speaker: str
    """`speaker_1`, `speaker_2`, …"""


class Gender(enum.Enum):
    """The sound of a speaker's voice."""

    UNKNOWN = enum.auto()
    FEMALE = enum.auto()
    MALE = enum.auto()


@dataclass(frozen=True, slots=True)
class Speaker:
    """The voice of a speaker."""

    name: str
    """As in the turns."""
    gender: Gender = Gender.UNKNOWN
    pitch_hz: int = 0
    """Median fundamental frequency; 0 where it is not known."""


@dataclass(frozen=True, slots=True)
class Diarized:
    """The turns of the speakers and what their voices are like."""

    turns: tuple[Turn, ...]
    """In time order, covering every region."""
    speakers: tuple[Speaker, ...] = ()
    """In the order in which they begin to speak; none where the engine describes no voice."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A recognised word with its speaker."""

    word: Word
    speaker: str
    """Any label, one for all words of a speaker; empty where the engine gives none."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """The words of an audio with their speakers."""

    words: tuple[SpokenWord, ...]
    """In time order."""
    heard_ms: int
    """Length of the audio that the engine got, which a vendor charges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities(base.Capabilities):
    """The properties of an engine of this stage, of any of its kinds."""

    languages: tuple[str, ...] = ()
    """BCP-47; a language without region serves all its regions. Empty for any."""
    max_chunk_ms: int = 60_000
    """Longest stretch of audio it takes in one call."""
    max_audio_ms: int = 0
    """Longest audio of which it finds words and speakers in one call; 0 where it does not."""

    def serves(self, language: str) -> bool:
        """True where the engine recognises a BCP-47 language."""
        return not self.languages or best(language, self.languages) is not None


class TranscriptionEngine(base.Engine[Capabilities], Protocol):
    """Turns regions of an audio file (16 kHz, mono) into words with times."""

    def transcribe(self, audio: Path, regions: Sequence[TimeRange], language: str) -> AsyncGenerator[Utterance]:
        """
        One utterance for each region, in the order of the regions, each as soon as it is ready. Closing the
        generator gives up the regions that are not begun. Raises `Unavailable` where another attempt may help.
        """
        ...


class DiarizationEngine(base.Engine[Capabilities], Protocol):
    """Finds the speaker of each region."""

    @property
    def reads_audio(self) -> bool:
        """True where it needs the audio; the audio is fetched only then."""
        ...

    async def diarize(self, audio: Path | None, regions: Sequence[TimeRange], count: int) -> Diarized:
        """
        The speaker of every moment of the regions. `audio` is None for an engine that does not read it; `count` is the
        number of speakers, 0 where it is not given. The same input has the same result. Raises `Unavailable` where
        another attempt may help.
        """
        ...


class ConversationEngine(base.Engine[Capabilities], Protocol):
    """Finds the words of a whole audio file (16 kHz, mono) and their speakers in one call."""

    async def recognise(self, audio: Path, language: str, count: int) -> Conversation:
        """
        The words and speakers. `count` is the number of speakers, 0 where it is not given. Raises `Unavailable` where
        another attempt may help.
        """
        ...


@dataclass(frozen=True, slots=True)
class SpokenLanguage:
    """The language that some regions are spoken in."""

    language: str
    """BCP-47."""
    probability: float
    """0 to 1."""
    others: Mapping[str, float] = field(default_factory=dict)
    """The probabilities of the engine's other languages, where it gives them."""

    def probability_of(self, language: str) -> float | None:
        """The probability of a BCP-47 language; None where the engine does not know it."""
        known = {**self.others, self.language: self.probability}
        served = best(language, known)
        return None if served is None else known[served]


class IdentificationEngine(base.Engine[Capabilities], Protocol):
    """Identifies the language that is spoken in an audio file (16 kHz, mono)."""

    async def identify(self, audio: Path, regions: Sequence[TimeRange]) -> SpokenLanguage:
        """The most probable of the languages of the engine. Raises `Unavailable` where another attempt may help."""
        ...


class SpeechScan(Protocol):
    """One pass over one audio, fed in order."""

    def feed(self, samples: Samples) -> NDArray[np.float32]:
        """Probability of speech, 0 to 1, for each frame; a last frame that is not full is filled with silence."""
        ...


class DetectionEngine(base.Engine[Capabilities], Protocol):
    """Separates speech from everything else; safe to use from many threads, each with its own scan."""

    def scan(self) -> SpeechScan:
        """Starts a pass."""
        ...


@dataclass(frozen=True, slots=True)
class Stems:
    """The files that a separation writes."""

    background: Path
    """The programme without its voices, as long to the sample: FLAC, 48 kHz, stereo."""
    voice: Path
    """The voices, on the same timeline: FLAC, 16 kHz, mono."""


class SeparationEngine(base.Engine[Capabilities], Protocol):
    """Separates the voices of a programme (FLAC or WAV, 48 kHz, stereo) from its background."""

    @property
    def separates(self) -> bool:
        """False for the engine that leaves everything as it is; it is not called."""
        ...

    async def separate(self, programme: Path, stems: Stems, report: Callable[[float], None]) -> None:
        """
        Writes the stems; `report` gets the share done, 0 to 1. The same programme gives the same stems. Raises
        `InvalidInput` (reasons `invalid_audio`, `unsupported_audio`), `Unavailable` where another attempt may help.
        """
        ...
