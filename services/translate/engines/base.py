"""The protocol of translation engines: the lines they take, the translations they give, their capabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from onevoice_kit.engines import base
from onevoice_kit.engines.base import EngineInfo, Use
from onevoice_kit.languages import best, ranked


@dataclass(frozen=True, slots=True)
class LanguagePair:
    """Two BCP-47 languages, one direction."""

    source: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities(base.Capabilities):
    """The properties of a translation engine in this deployment."""

    pairs: tuple[LanguagePair, ...] = ()
    can_shorten: bool = False
    """True where it can keep a translation within `max_chars`."""

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
    """A text to translate, on one line, as it was recognised or written: case and punctuation may be missing."""

    text: str
    max_chars: int = 0
    """Longest translation wanted, 0 for no limit."""


@dataclass(frozen=True, slots=True)
class Term:
    """A term and its fixed translation. Matched as whole words, without regard to case."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Translation:
    """A line in the other language."""

    text: str
    """A sentence as people write it in the target language; empty where the engine found no translation."""
    unknown_words: tuple[str, ...] = ()
    """Words passed through as they were, each once."""
    use: Use = field(default_factory=dict)
    """Its share of what the call used of a model that counts tokens."""


class TranslationEngine(base.Engine[Capabilities], Protocol):
    """Translates lines."""

    async def translate(
        self, pair: LanguagePair, lines: Sequence[Line], terms: Sequence[Term], report: Callable[[float], None]
    ) -> list[Translation]:
        """
        One translation for each line, in order; `pair` is one of its own. Lines stand in time order, as context.
        `report` gets the share done, 0 to 1.

        Raises `Unavailable` where another attempt may help, `Busy` where it is full. Cancelling gives up the work.
        """
        ...

    def used_for(self, pair: LanguagePair) -> EngineInfo:
        """The engine and the model that serve one of its pairs."""
        ...
