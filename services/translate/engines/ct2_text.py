"""Lines cut into sentences, terms kept out of a model's hands, and the choice among its hypotheses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.translate.engines.base import Term
from services.translate.glossary import missed_terms, term_spans
from services.translate.length import spoken_chars

_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+(?=[\"'“‘«(\[¿¡]*\w)|(?<=[。！？])")
_OPENERS = "\"'“‘«([¿¡"
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[^\W\d_]|mr|mrs|ms|dr|st|sr|sra|jr|prof|vs|etc|approx|no|vol|fig|e\.g|i\.e|u\.s|m|mme|núm)\.$",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s\"'<>()]*[\w/]|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_STEM = "Zq"
"""Begins every stand-in for a term: a name that no language has, which a model copies as it copies names."""
_STAND_IN = re.compile(rf"{_STEM}\s?(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Masked:
    """A sentence with stand-ins for its terms."""

    text: str
    targets: tuple[str, ...]
    """The text that each stand-in becomes, by its number."""
    between: tuple[str, ...]
    """The text before, between and after the terms; one more than there are terms."""


def sentences(text: str) -> list[str]:
    """The sentences of a text: the models were trained on one at a time, and leave out others."""
    found: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        begins_small = text[match.end() :].lstrip(_OPENERS)[:1].islower()
        if not begins_small and not _ABBREVIATION.search(text[start : match.start()]):
            found.append(text[start : match.end()].strip())
            start = match.end()
    return [one for one in (*found, text[start:].strip()) if one]


def fixed_terms(text: str, terms: Sequence[Term]) -> list[Term]:
    """The terms of the glossary, and addresses of the web and of mail, which stay as they are."""
    return [*terms, *(Term(found, found) for found in dict.fromkeys(_ADDRESS.findall(text)))]


def mask(text: str, terms: Sequence[Term]) -> Masked | None:
    """The sentence with its terms masked; None where it has none."""
    masked, targets, between, end = "", list[str](), list[str](), 0
    for start, stop, term in term_spans(text, terms):
        between.append(text[end:start])
        masked += f"{between[-1]}{_STEM}{len(targets)}"
        targets.append(term.target)
        end = stop
    if not targets:
        return None
    return Masked(masked + text[end:], tuple(targets), (*between, text[end:]))


def unmask(text: str, masked: Masked) -> str | None:
    """A translation with the terms in place; None where a stand-in was lost, came twice, or was in the source."""
    numbers = [int(number) for number in _STAND_IN.findall(text)]
    own = any(_STAND_IN.search(part) for part in masked.between)
    if own or sorted(numbers) != list(range(len(masked.targets))):
        return None
    return _STAND_IN.sub(lambda match: masked.targets[int(match[1])], text)


def joined(masked: Masked, translated: Sequence[str]) -> str:
    """The translations of what stands between the terms, with the terms."""
    texts = [_with_edges(source, text) for source, text in zip(masked.between, translated, strict=True)]
    return "".join(text + target for text, target in zip(texts, (*masked.targets, ""), strict=True))


def keeps(text: str, translation: str, terms: Sequence[Term]) -> bool:
    """True where a translation has a text for what it must keep."""
    return bool(translation) and not missed_terms(text, translation, terms)


def fitted(parts: Sequence[Sequence[str]], max_chars: int, language: str) -> str:
    """
    The line made of one hypothesis for each of its parts: the most probable ones; where those are too long for
    `max_chars` (0: no limit), the most probable shorter ones with which the line fits, else the shortest.
    """
    chosen = [options[0] for options in parts]
    while max_chars and (over := spoken_chars(" ".join(chosen), language) - max_chars) > 0:
        swaps = [
            (rank, spoken_chars(chosen[place], language) - spoken_chars(option, language), place)
            for place, options in enumerate(parts)
            for rank, option in enumerate(options)
            if option
        ]
        enough = [swap for swap in swaps if swap[1] >= over]
        rank, saved, place = min(enough) if enough else max(swaps, key=lambda swap: swap[1], default=(0, 0, 0))
        if saved <= 0:
            break
        chosen[place] = parts[place][rank]
    return " ".join(part for part in chosen if part)


def _with_edges(source: str, text: str) -> str:
    """The text with the white space that stood around its source."""
    if not source.strip():
        return source
    return source[: len(source) - len(source.lstrip())] + text.strip() + source[len(source.rstrip()) :]
