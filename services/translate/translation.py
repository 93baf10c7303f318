"""Translates segments with one of the configured engines: checks, cleans, keeps order, loses no line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from onevoice_kit.engines.base import EngineInfo, Measure, Use
from onevoice_kit.engines.layers import Limit
from onevoice_kit.engines.registry import first_result
from onevoice_kit.errors import InvalidInput
from onevoice_kit.text import clean
from services.translate.engines.base import (
    MAX_FOUND_TERMS,
    MAX_SUMMARY_CHARS,
    NO_CONTEXT,
    Context,
    Line,
    Summary,
    Term,
    Translation,
)
from services.translate.engines.registry import Engines
from services.translate.glossary import missed_terms
from services.translate.meaning import LOST_BELOW, MeaningCheck

MAX_SEGMENTS = 500
MAX_CHARS = 2_000
"""Longest segment."""
MAX_TERMS = 500
MAX_TERM_CHARS = 200
MAX_AROUND = 10
"""Lines of context before the first segment, and after the last."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment to translate."""

    id: str
    text: str
    max_chars: int = 0
    """Longest translation that fits the time; 0 for no limit."""


@dataclass(frozen=True, slots=True)
class Request:
    """Segments to translate and the wishes for them."""

    source_language: str
    target_language: str
    segments: tuple[Segment, ...]
    glossary: tuple[Term, ...] = ()
    engine: str = ""
    """Name of the engine; empty takes the first that serves the pair."""
    context: Context = NO_CONTEXT


@dataclass(frozen=True, slots=True)
class TranslatedSegment:
    """A translated segment."""

    id: str
    text: str
    unknown_words: tuple[str, ...]
    within_budget: bool
    missed_terms: tuple[str, ...] = ()
    """Terms of the glossary, in the source language, that the translation does not keep."""
    similarity: float | None = None
    """Likeness of its meaning to that of its source, -1 to 1; None where they were not compared."""
    meaning_lost: bool = False
    """True where the similarity is so low that the translation hardly means the same."""


@dataclass(frozen=True, slots=True)
class Result:
    """Every segment of the request, in its order, and the engine that translated them."""

    segments: tuple[TranslatedSegment, ...]
    engine: EngineInfo
    cost_microusd: int | None
    """At list price, millionths of a US dollar; None where it is not known."""


class Translator:
    """The use case behind Translate."""

    def __init__(
        self, engines: Engines, limit: Limit, meaning: MeaningCheck | None = None, lost_below: float = LOST_BELOW
    ) -> None:
        """`limit` bounds the calls that run and wait at once; `meaning` None: translations are not compared."""
        self._engines = engines
        self._limit = limit
        self._meaning = meaning
        self._lost_below = lost_below

    async def translate(self, request: Request, report: Callable[[float], None]) -> Result:
        """
        Translates every segment; `report` gets the share done.

        Raises `InvalidInput` (reasons `too_many_segments`, `text_too_long`, `duplicate_segment_id`,
        `invalid_max_chars`, `invalid_glossary`, `invalid_context`, `unknown_engine`, `unsupported_language_pair`),
        `PreconditionFailed` (`engine_unavailable`), `Busy` (`queue_full`) and the errors of the last engine that
        serves the pair.
        """
        _check(request)
        async with self._limit.place():
            source, target = request.source_language, request.target_language
            candidates = await self._engines.candidates(
                request.engine, lambda one: one.pair_for(source, target), unsupported(source, target)
            )
            texts = await asyncio.to_thread(lambda: [clean(segment.text) for segment in request.segments])
            # Text without a letter (a number, an emoji, nothing at all) reads the same in every language.
            spoken = [index for index, text in enumerate(texts) if _has_letters(text)]
            lines = [Line(texts[index], request.segments[index].max_chars) for index in spoken]
            glossary, context = request.glossary, _cleaned(request.context)
            served, answers = candidates[0], list[Translation]()
            if lines:
                served, answers = await first_result(
                    "translation",
                    candidates,
                    lambda one: one.call(lambda engine: engine.translate(one.served, lines, glossary, report, context)),
                )
            by_index = dict(zip(spoken, answers, strict=True))
            finished = [_finished(one, texts[i], by_index.get(i)) for i, one in enumerate(request.segments)]
            await self._compare(finished, texts, spoken)
        segments = await asyncio.to_thread(_checked, finished, texts, request.glossary)
        used = served.used(served.engine.used_for(served.served))
        return Result(segments, used, used.microusd(_use(lines, answers)))

    async def _compare(self, segments: list[TranslatedSegment], sources: Sequence[str], spoken: Sequence[int]) -> None:
        """Adds the likeness of their meanings to the segments that were translated."""
        if self._meaning is None:
            return
        found = await self._meaning.similarities([(sources[index], segments[index].text) for index in spoken])
        for index, similarity in zip(spoken, found, strict=True):
            if similarity is not None:
                lost = similarity < self._lost_below
                segments[index] = replace(segments[index], similarity=similarity, meaning_lost=lost)


def _use(lines: Sequence[Line], answers: Sequence[Translation]) -> Use:
    tokens = {
        measure: sum(answer.use.get(measure, 0) for answer in answers)
        for measure in (Measure.INPUT_TOKENS, Measure.OUTPUT_TOKENS)
    }
    return {**tokens, Measure.CHARACTERS: sum(len(line.text) for line in lines)}


def _finished(segment: Segment, text: str, answer: Translation | None) -> TranslatedSegment:
    """A segment with its answer; `text` is what was sent, or not sent for having no letters."""
    if answer is None:
        return _segment(segment, text, ())
    if not _has_letters(answer.text):
        # An engine that returns nothing has found no word: the line is passed through, never dropped.
        return _segment(segment, text, tuple(dict.fromkeys(text.split())))
    return _segment(segment, answer.text, answer.unknown_words)


def _checked(
    segments: Sequence[TranslatedSegment], sources: Sequence[str], terms: Sequence[Term]
) -> tuple[TranslatedSegment, ...]:
    """The segments with the terms that they miss; a model, unlike a program, may leave a glossary aside."""
    pairs = zip(segments, sources, strict=True)
    return tuple(
        replace(one, missed_terms=tuple(term.source for term in missed_terms(source, one.text, terms)))
        for one, source in pairs
    )


def _has_letters(text: str) -> bool:
    return any(char.isalpha() for char in text)


def _segment(segment: Segment, text: str, unknown_words: tuple[str, ...]) -> TranslatedSegment:
    fits = segment.max_chars == 0 or len(text) <= segment.max_chars
    return TranslatedSegment(segment.id, text, unknown_words, fits)


def _cleaned(context: Context) -> Context:
    """The context with texts as safe as those of the segments."""
    about = context.about
    terms = (Term(clean(term.source), clean(term.target)) for term in about.terms)
    return Context(
        Summary(clean(about.text), tuple(term for term in terms if term.source and term.target)),
        tuple(map(clean, context.before)),
        tuple(map(clean, context.after)),
    )


def unsupported(source: str, target: str) -> InvalidInput:
    """The error for a pair that no engine serves."""
    return InvalidInput(
        f"No engine here translates from “{source}” to “{target}”.",
        reason="unsupported_language_pair",
        details={"source_language": source, "target_language": target},
    )


def _check(request: Request) -> None:
    if len(request.segments) > MAX_SEGMENTS:
        raise InvalidInput(f"There are more than {MAX_SEGMENTS} segments.", reason="too_many_segments")
    for segment in request.segments:
        _check_segment(segment)
    if len({segment.id for segment in request.segments}) < len(request.segments):
        raise InvalidInput("Two segments have the same id.", reason="duplicate_segment_id")
    check_glossary(request.glossary)
    _check_context(request.context)


def _check_context(context: Context) -> None:
    sizes = (
        (len(context.about.text), MAX_SUMMARY_CHARS),
        (len(context.about.terms), MAX_FOUND_TERMS),
        (max(len(context.before), len(context.after)), MAX_AROUND),
        *((len(text), MAX_CHARS) for text in (*context.before, *context.after)),
        *((len(side), MAX_TERM_CHARS) for term in context.about.terms for side in (term.source, term.target)),
    )
    if any(size > most for size, most in sizes):
        raise InvalidInput("The context of the segments is too large.", reason="invalid_context")


def _check_segment(segment: Segment) -> None:
    details = {"segment_id": segment.id}
    if len(segment.text) > MAX_CHARS:
        message = f"A segment is longer than {MAX_CHARS} characters."
        raise InvalidInput(message, reason="text_too_long", details=details)
    if segment.max_chars < 0:
        raise InvalidInput("A segment's max_chars is negative.", reason="invalid_max_chars", details=details)


def check_glossary(terms: Sequence[Term]) -> None:
    """Raises `InvalidInput` (reason `invalid_glossary`) for too many terms, or one that is empty or too long."""
    if len(terms) > MAX_TERMS:
        raise InvalidInput(f"The glossary has more than {MAX_TERMS} terms.", reason="invalid_glossary")
    for text in (side for term in terms for side in (term.source, term.target)):
        if not clean(text) or len(text) > MAX_TERM_CHARS:
            raise InvalidInput(
                f"A term of the glossary is empty or longer than {MAX_TERM_CHARS} characters.",
                reason="invalid_glossary",
            )
