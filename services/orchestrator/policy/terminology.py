"""The terminology of a whole transcript: when it is worth the wait, and its form in the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from onevoice_jobs.options import Terms

from .line import EngineUse

AROUND = 3
"""Lines of the neighbouring chunks that a translation in context shows on either side."""


@dataclass(frozen=True, slots=True)
class FoundTerm:
    """A name or a technical term and its translation."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Terminology:
    """The description of a transcript for one language."""

    summary: str = ""
    terms: tuple[FoundTerm, ...] = ()
    engine: EngineUse | None = None
    """None where there is none."""
    cost_microusd: int | None = 0
    """At list price, millionths of a US dollar; None where it is not known."""
    problem: str = ""
    """Reason of the error because of which there is none."""


NO_TERMINOLOGY = Terminology()


def is_wanted(option: Terms, chunks: int, wanting: Sequence[EngineUse]) -> bool:
    """
    True where translation waits for the whole transcript: unless the user declined, where the engine that will
    translate wants a summary, and the transcript is more than the one chunk that the engine would see anyway.
    """
    return option != "off" and chunks > 1 and bool(wanting)


def report(found: Terminology) -> dict[str, Any] | None:
    """The terminology as the report has it; None where there is none."""
    if found.engine is None:
        return None
    terms = [asdict(term) for term in found.terms]
    return {"summary": found.summary, "terms": terms, "engine": asdict(found.engine), "problem": found.problem or None}
