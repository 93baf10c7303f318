"""The terminology of a whole transcript, and translation that uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from onevoice_jobs.options import GlossaryTerm
from onevoice_jobs.records import Event, Published

from ..clients.translate import Context
from ..policy.line import EngineUse, Source, join
from ..policy.terminology import AROUND, NO_TERMINOLOGY, Terminology
from ..policy.terminology import report as as_reported
from .context import Tools
from .graph import Given, Handle, Result
from .language import Translate
from .task import Task


@dataclass(frozen=True, kw_only=True)
class FindTerms(Task[Terminology]):
    """Describes the whole transcript for a language, before any of it is translated."""

    stage: ClassVar = "translate"
    target: str
    cuts: tuple[Handle[dict[str, Source]], ...]
    language: Handle[str]
    glossary: tuple[GlossaryTerm, ...]
    engine: str
    """Empty: the first configured one that serves the languages."""
    engines: Handle[list[EngineUse]]
    """Not read: another engine, or another version of one, finds other terms."""
    checked: tuple[Handle[int], ...]
    """Not read: nothing is paid for before the words are plausible, unless the user forces it."""

    async def run(self, tools: Tools, given: Given) -> Result[Terminology]:
        """Returns the terminology; users see it as an event, and in the report."""
        lines = [line.source.text for line in join(given.each(self.cuts))]
        if not lines:
            return Result(NO_TERMINOLOGY)  # the transcript ends the job
        summarize = tools.clients.translate.summarize
        found = await summarize(given(self.language), self.target, lines, self.glossary, self.engine)
        event = Event("terms.found", {"language": self.target, **(as_reported(found) or {})})
        return Result(found, Published(events=(event,)))


@dataclass(frozen=True, kw_only=True)
class NoTerms(Task[Terminology]):
    """Stands for the terminology of a language whose translation waits for none."""

    stage: ClassVar = "store"
    pure: ClassVar = True

    async def run(self, tools: Tools, given: Given) -> Terminology:
        """Returns an empty one."""
        return NO_TERMINOLOGY


@dataclass(frozen=True, kw_only=True)
class TranslateInContext(Translate):
    """Translates the lines of one chunk with the terminology of the whole and lines of the neighbouring chunks."""

    terms: Handle[Terminology]
    earlier: tuple[Handle[dict[str, Source]], ...]
    """The chunk before; none for the first."""
    later: tuple[Handle[dict[str, Source]], ...]
    """The chunk after; none for the last."""

    def context(self, given: Given) -> Context:
        """Returns the surroundings of the chunk."""
        before = [line.source.text for line in join(given.each(self.earlier))]
        after = [line.source.text for line in join(given.each(self.later))]
        return Context(given(self.terms), tuple(before[-AROUND:]), tuple(after[:AROUND]))
