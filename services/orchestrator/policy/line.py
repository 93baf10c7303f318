"""A line of the dub: one thing from the cut to the report, to which each step adds one fact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from onevoice_jobs.records import Word
from onevoice_kit.storage.base import ObjectRef

UNKNOWN_WORDS = "unknown_words"
"""Flag: the translator passed words through that it could not translate."""
MISSED_TERMS = "missed_terms"
"""Flag: the translation lacks a fixed translation of the glossary."""
MEANING_LOST = "meaning_lost"
"""Flag: the translation hardly means what its source means."""
OVER_BUDGET = "over_budget"
"""Flag: the translation is longer than its slot allows at a comfortable speed."""
EDITED = "edited"
"""Flag: the text is the user's."""
NOTHING_TO_SPEAK = "nothing_to_speak"
"""Flag, and reason of synthesis: the line has no words (“♪”, an empty translation), so it is silent."""
NO_ROOM = "no_room"
"""Flag: the line stays silent, because even at the highest speed the whole dub would not fit the source."""


@dataclass(frozen=True, slots=True)
class EngineUse:
    """The engine that made a result, its model and version; empty where the engine has none."""

    name: str
    model: str
    version: str


@dataclass(frozen=True, slots=True)
class EngineFailure:
    """An engine that was to make a result and failed, so that another one took over."""

    engine: str
    reason: str
    """That of its error."""


@dataclass(frozen=True, slots=True)
class Source:
    """The original of a line: the speech of one speaker in one breath. Milliseconds from the start of the source."""

    start_ms: int
    end_ms: int
    speaker: str
    words: tuple[Word, ...]
    slot_ms: int
    """Time until the next speech begins, as far as the chunk and the detected regions show."""

    @property
    def text(self) -> str:
        """The words, joined by spaces."""
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class Translation:
    """The text of a line in the target language; it is stored here alone."""

    text: str
    unknown_words: tuple[str, ...]
    """Words that the translator passed through."""
    within_budget: bool
    engine: EngineUse
    edited: bool = False
    """True where the text is the user's."""
    missed_terms: tuple[str, ...] = ()
    """Terms of the glossary, in the source language, whose fixed translation the text lacks."""
    cost_microusd: int | None = 0
    """Its share of what its translation cost at list price; None where that is not known."""
    similarity: float | None = None
    """Likeness of its meaning to that of its source, -1 to 1; None where they were not compared."""
    meaning_lost: bool = False
    """True where the similarity is so low that the text hardly means what its source means."""
    after: tuple[EngineFailure, ...] = ()
    """The engines that were to translate it before, in order."""


@dataclass(frozen=True, slots=True)
class Speech:
    """A line as synthesized."""

    audio: ObjectRef | None
    """None: there is nothing to speak, and the line is silent."""
    natural_ms: int
    """Length at speed 1; 0 where silent."""
    voice: str
    engine: EngineUse | None
    cost_microusd: int | None = 0
    """At list price, millionths of a US dollar; None where it is not known."""


SILENCE = Speech(None, 0, "", None)


@dataclass(frozen=True, slots=True)
class Placement:
    """Start, length and speed of a line in the dub."""

    start_ms: int
    end_ms: int
    speed: float
    """1, or so far from it that stretching is worth it (`fitting.SMALLEST_STRETCH`)."""
    slot_ms: int
    """Time from the onset to the next line, less the gap before it, or to the end of the source."""
    onset_error_ms: int
    """Placed start − onset; negative is early."""
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """A line as it was found in the finished file; all but `present` is 0 where it was not."""

    present: bool
    onset_ms: int
    """Begin of its speech in the file."""
    end_ms: int
    shift_ms: int
    """Its place in the file − its place in the voice stem; negative is early."""
    overlap_ms: int
    """Time during which another line of the dub speaks as well."""
    cut_ms: int
    """Its sound that is missing from its start or its end."""
    correlation: float
    """Likeness of the file to the line's own sound, 0 to 1."""
    level_db: float
    """Its level in the file against its level in the voice stem."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line with the facts found so far."""

    id: str
    """`CHUNK.N`: fixed before the chunks before it are recognised."""
    source: Source
    translation: Translation | None = None
    speech: Speech | None = None
    placement: Placement | None = None
    """None where the line is silent."""
    measured: Measured | None = None
    """None where the line is silent, and before the file is measured."""

    @property
    def chunk(self) -> int:
        """Number of the piece of the source in which it was recognised."""
        return int(self.id.partition(".")[0])

    @property
    def text(self) -> str:
        """The translated text; empty before translation."""
        return self.translation.text if self.translation else ""

    @property
    def natural_ms(self) -> int:
        """Length as synthesized; 0 where silent."""
        return self.speech.natural_ms if self.speech else 0

    @property
    def audio(self) -> ObjectRef | None:
        """The speech in the dub; None where the line is silent."""
        return self.speech.audio if self.speech and self.placement else None

    @property
    def span(self) -> tuple[int, int] | None:
        """Start and end in the dub; None where the line is silent."""
        return (self.placement.start_ms, self.placement.end_ms) if self.placement else None

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags that the facts raise, in the order of the facts."""
        translation, speech, placement = self.translation, self.speech, self.placement
        raised = (
            (UNKNOWN_WORDS, translation and translation.unknown_words),
            (MISSED_TERMS, translation and translation.missed_terms),
            (MEANING_LOST, translation and translation.meaning_lost),
            (OVER_BUDGET, translation and not translation.within_budget),
            (EDITED, translation and translation.edited),
            (NOTHING_TO_SPEAK, speech and not speech.audio),
            (NO_ROOM, speech and speech.audio and not placement),
        )
        return tuple(flag for flag, is_raised in raised if is_raised) + (placement.flags if placement else ())


def join(
    sources: Iterable[dict[str, Source]],
    translations: Iterable[dict[str, Translation]] = (),
    speech: Sequence[Speech] = (),
    placements: Mapping[str, Placement] | None = None,
    measured: Mapping[str, Measured] | None = None,
) -> list[Line]:
    """
    The lines in time order, each with the facts that are given.

    Sources, translations, placements and measurements are by line id, and their order counts for nothing: a checkpoint
    loses it. Speech is in the time order of all lines, or empty.
    """
    by_id = {line_id: text for chunk in translations for line_id, text in chunk.items()}
    placed, found = placements or {}, measured or {}
    lines = [
        Line(line_id, source, by_id.get(line_id), placement=placed.get(line_id), measured=found.get(line_id))
        for chunk in sources
        for line_id, source in chunk.items()
    ]
    lines.sort(key=lambda line: (line.source.start_ms, line.chunk, int(line.id.partition(".")[2])))
    if not speech:
        return lines
    return [replace(line, speech=spoken) for line, spoken in zip(lines, speech, strict=True)]
