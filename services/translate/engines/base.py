"""The protocol of translation engines: the lines they take, the translations they give, their capabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from onevoice_kit.engines import base
from onevoice_kit.engines.base import EngineInfo, Use
from onevoice_kit.languages import best, ranked

MAX_SUMMARY_CHARS = 1_000
MAX_FOUND_TERMS = 100


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
    wants_summary: bool = False
    """True where it is a `SummarizingEngine` and translates better with a summary of the whole."""

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
class Summary:
    """A transcript as a whole: suggestions of a model, none of which comes before the glossary of the user."""

    text: str = ""
    """Subject, speakers and tone; at most `MAX_SUMMARY_CHARS`."""
    terms: tuple[Term, ...] = ()
    """Names and technical terms, each with the translation to use throughout; at most `MAX_FOUND_TERMS`."""


@dataclass(frozen=True, slots=True)
class Context:
    """The surroundings of the lines of a call."""

    about: Summary = Summary()
    before: tuple[str, ...] = ()
    """Texts of the lines before the first one, in time order."""
    after: tuple[str, ...] = ()
    """Texts of the lines after the last one, in time order."""


NO_CONTEXT = Context()


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
        self,
        pair: LanguagePair,
        lines: Sequence[Line],
        terms: Sequence[Term],
        report: Callable[[float], None],
        context: Context = NO_CONTEXT,
    ) -> list[Translation]:
        """
        One translation for each line, in order; `pair` is one of its own. Lines stand in time order, as context.
        `report` gets the share done, 0 to 1. An engine that translates each line by itself reads no `context`.

        Raises `Unavailable` where another attempt may help, `Busy` where it is full. Cancelling gives up the work.
        """
        ...

    def used_for(self, pair: LanguagePair) -> EngineInfo:
        """The engine and the model that serve one of its pairs."""
        ...


class SummarizingEngine(TranslationEngine, Protocol):
    """Describes a whole transcript before its lines are translated."""

    async def summarize(
        self, pair: LanguagePair, lines: Sequence[str], terms: Sequence[Term], report: Callable[[float], None]
    ) -> tuple[Summary, Use]:
        """
        The summary of lines in time order, and what it used; empty where it is not worth a request. No term that it
        finds contradicts `terms`, and each occurs in the lines. `report` gets the share read, 0 to 1.

        Raises as `translate` does.
        """
        ...
