"""What an engine of this service takes, returns and says about itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from onevoice_kit.languages import best, ranked


@dataclass(frozen=True, slots=True)
class LanguagePair:
    """Two BCP-47 languages, one direction."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Which engine it is; goes into the lineage of a job."""

    name: str
    model: str
    version: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do in this deployment."""

    info: EngineInfo
    pairs: tuple[LanguagePair, ...]
    available: bool
    """Whether it can work now: its program or key is present."""
    can_shorten: bool = False
    """Whether it can keep a translation within `max_chars`."""
    missing: str = ""
    """What to install or set where it is not available; a sentence."""

    def pair_for(self, source: str, target: str) -> LanguagePair | None:
        """The pair that serves these languages best by `onevoice_kit.languages`; the target's fit counts first."""
        for served in ranked(target, (pair.target for pair in self.pairs)):
            sources = {pair.source: pair for pair in self.pairs if pair.target == served}
            found = best(source, sources)
            if found is not None:
                return sources[found]
        return None


@dataclass(frozen=True, slots=True)
class Line:
    """A text to translate, with sentence case and end punctuation."""

    text: str
    max_chars: int = 0
    """Longest translation wanted, 0 for no limit."""
    recased: bool = False
    """Whether the text came without case, so that names in it may lack their capital."""


@dataclass(frozen=True, slots=True)
class Term:
    """A term and its fixed translation. Matched as whole words, without regard to case."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Translation:
    """A line in the other language."""

    text: str
    unknown_words: tuple[str, ...] = ()
    """Words passed through as they were, each once."""


class TranslationEngine(Protocol):
    """Translates lines."""

    async def describe(self) -> Capabilities:
        """What it can do here and now. Cheap after the first time."""
        ...

    async def translate(
        self, pair: LanguagePair, lines: Sequence[Line], terms: Sequence[Term], report: Callable[[float], None]
    ) -> list[Translation]:
        """
        One translation for each line, in order; `pair` is one of its own. Lines stand in time order, as context.

        Raises `Unavailable` where another try may help, `Busy` where it is full. Cancelling gives up the work.
        """
        ...

    def used_for(self, pair: LanguagePair) -> EngineInfo:
        """The engine and the model that serve one of its pairs."""
        ...

    async def close(self) -> None:
        """Gives back what it holds."""
        ...
