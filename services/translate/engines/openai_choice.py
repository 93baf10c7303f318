"""The choice among the translations that a model proposes for a line, by the glossary and the predicted length."""

from __future__ import annotations

from collections.abc import Sequence

from services.translate.engines.base import Line, Term
from services.translate.engines.openai_prompt import Proposal
from services.translate.glossary import missed_terms
from services.translate.length import spoken_chars

_ROOMY, _FILLED = 0.6, 0.9
"""A natural text below the first share of its time gives way to a full one up to the second."""


def chosen(proposal: Proposal, line: Line, language: str, terms: Sequence[Term]) -> str:
    """
    The text to speak: one that keeps the glossary, then one that fits, then the natural one, or the full one where the
    time is long. Where nothing fits it is the shortest.
    """
    kept = [text for text in proposal.texts if not missed_terms(line.text, text, terms)] or list(proposal.texts)
    most = line.max_chars
    fitting = [text for text in kept if not most or spoken_chars(text, language) <= most]
    if not fitting:
        return min(kept, key=lambda text: spoken_chars(text, language))
    first, full = fitting[0], proposal.full
    long = most and full in fitting and spoken_chars(full, language) <= most * _FILLED
    return full if long and spoken_chars(first, language) < most * _ROOMY else first


def faults(text: str, line: Line, language: str, terms: Sequence[Term]) -> tuple[str, ...]:
    """The faults of a translation, in words for the next request; empty where it may stay."""
    found = [f"The fixed translation “{term.target}” is missing." for term in missed_terms(line.text, text, terms)]
    if over := overrun(text, line, language):
        found.append(f"It is {over} characters too long for its time, numbers counted as they are spoken.")
    return tuple(found)


def overrun(text: str, line: Line, language: str) -> int:
    """Characters by which a text is longer, when spoken, than its line allows; 0 where it fits."""
    return max(0, spoken_chars(text, language) - line.max_chars) if line.max_chars else 0
