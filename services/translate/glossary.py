"""Glossary terms within lines, and the check that a translation keeps them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from onevoice_kit.text import clean
from services.translate.engines.base import Term

_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")
"""Scripts that write words without spaces: Thai, Lao, Japanese, Chinese."""


def terms_in(text: str, terms: Sequence[Term]) -> list[Term]:
    """The terms that a text in the source language holds, as whole words, without regard to case."""
    return [term for term in terms if _pattern(term.source).search(text)]


def term_spans(text: str, terms: Sequence[Term]) -> list[tuple[int, int, Term]]:
    """The places of terms in a text: begin, end and term, in order; where terms overlap, the longest one."""
    found: list[tuple[int, int, Term]] = []
    for term in sorted(terms_in(text, terms), key=lambda term: -len(term.source)):
        for match in _pattern(term.source).finditer(text):
            if all(match.end() <= start or end <= match.start() for start, end, _ in found):
                found.append((match.start(), match.end(), term))
    return sorted(found, key=lambda span: span[:2])


def missed_terms(text: str, translation: str, terms: Sequence[Term]) -> tuple[Term, ...]:
    """The terms of the text whose fixed translation its translation lacks; the case may differ."""
    written = clean(translation).casefold()
    return tuple(term for term in terms_in(text, terms) if clean(term.target).casefold() not in written)


@lru_cache(maxsize=4096)
def _pattern(source: str) -> re.Pattern[str]:
    words = r"\s+".join(map(re.escape, clean(source).split()))
    whole = words if _UNSPACED.search(source) else rf"(?<!\w){words}(?!\w)"
    return re.compile(whole, re.IGNORECASE)
