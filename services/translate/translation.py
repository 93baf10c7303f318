"""Translates segments with one of the configured engines: checks, restores case and punctuation, keeps order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from onevoice_kit.errors import Busy, InvalidInput
from services.translate.engines.base import EngineInfo, Line, Term, Translation
from services.translate.engines.registry import Registry
from services.translate.restoration import Restored, clean, finish, has_letters, restore

MAX_SEGMENTS = 500
MAX_CHARS = 2_000
"""Longest segment."""
MAX_TERMS = 500
MAX_TERM_CHARS = 200
_RETRY_AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment to translate."""

    id: str
    text: str
    max_chars: int = 0
    """Longest translation that fits the time; 0 for no limit."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be translated."""

    source_language: str
    target_language: str
    segments: tuple[Segment, ...]
    glossary: tuple[Term, ...] = ()
    engine: str = ""
    """Name of the engine; empty takes the first that serves the pair."""


@dataclass(frozen=True, slots=True)
class TranslatedSegment:
    """A translated segment."""

    id: str
    text: str
    unknown_words: tuple[str, ...]
    within_budget: bool


@dataclass(frozen=True, slots=True)
class Result:
    """Every segment of the request, in its order, and the engine that translated them."""

    segments: tuple[TranslatedSegment, ...]
    engine: EngineInfo


class Translator:
    """The use case behind Translate."""

    def __init__(self, engines: Registry, *, max_calls: int) -> None:
        """`max_calls` may run or wait at once; one more is refused."""
        self._engines = engines
        self._max_calls = max_calls
        self._calls = 0

    async def translate(self, request: Request, report: Callable[[float], None]) -> Result:
        """
        Translates every segment; `report` gets the share done.

        Raises `InvalidInput` (reasons `too_many_segments`, `text_too_long`, `duplicate_segment_id`,
        `invalid_max_chars`, `invalid_glossary`, and those of `Registry.choose`), `PreconditionFailed`
        (`engine_unavailable`), `Busy` (`queue_full`) and what the engine raises.
        """
        _check(request)
        with self._admitted():
            engine, pair = await self._engines.choose(request.engine, request.source_language, request.target_language)
            restored = await asyncio.to_thread(_restored, request.segments, pair.source)
            # What holds no letter (a number, an emoji, nothing at all) reads the same in every language.
            spoken = [index for index, one in enumerate(restored) if has_letters(one.text)]
            lines = [Line(restored[i].text, request.segments[i].max_chars, restored[i].recased) for i in spoken]
            answers = await engine.translate(pair, lines, request.glossary, report) if lines else []
            finishing = _Finishing(pair.target, request.glossary)
            translated = dict(zip(spoken, answers, strict=True))
            segments = await asyncio.to_thread(finishing.segments, request.segments, restored, translated)
        return Result(segments, engine.used_for(pair))

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        if self._calls >= self._max_calls:
            raise Busy("Translation is full; try again later.", reason="queue_full", retry_after=_RETRY_AFTER_S)
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1


@dataclass(frozen=True, slots=True)
class _Finishing:
    """Makes the answer of an engine what the contract promises."""

    language: str
    glossary: Sequence[Term]

    def segments(
        self, segments: Sequence[Segment], sources: Sequence[Restored], answers: Mapping[int, Translation]
    ) -> tuple[TranslatedSegment, ...]:
        """Every segment, by the answer of the same index; what was not asked for stays as it is."""
        both = enumerate(zip(segments, sources, strict=True))
        return tuple(self._finished(segment, source, answers.get(index)) for index, (segment, source) in both)

    def _finished(self, segment: Segment, source: Restored, answer: Translation | None) -> TranslatedSegment:
        if answer is None:
            return _segment(segment, source.text, ())
        kept = [term.target for term in self.glossary]
        text = finish(answer.text, source, self.language, kept)
        if not has_letters(text):
            # An engine that returns nothing has known no word: the line is passed through, never dropped.
            return _segment(segment, source.text, tuple(dict.fromkeys(source.text.split())))
        return _segment(segment, text, answer.unknown_words)


def _restored(segments: Sequence[Segment], language: str) -> list[Restored]:
    return [restore(clean(segment.text), language) for segment in segments]


def _segment(segment: Segment, text: str, unknown_words: tuple[str, ...]) -> TranslatedSegment:
    fits = segment.max_chars == 0 or len(text) <= segment.max_chars
    return TranslatedSegment(segment.id, text, unknown_words, fits)


def _check(request: Request) -> None:
    if len(request.segments) > MAX_SEGMENTS:
        raise InvalidInput(f"There are more than {MAX_SEGMENTS} segments.", reason="too_many_segments")
    for segment in request.segments:
        _check_segment(segment)
    if len({segment.id for segment in request.segments}) < len(request.segments):
        raise InvalidInput("Two segments have the same id.", reason="duplicate_segment_id")
    _check_glossary(request.glossary)


def _check_segment(segment: Segment) -> None:
    details = {"segment_id": segment.id}
    if len(segment.text) > MAX_CHARS:
        message = f"A segment is longer than {MAX_CHARS} characters."
        raise InvalidInput(message, reason="text_too_long", details=details)
    if segment.max_chars < 0:
        raise InvalidInput("A segment's max_chars is negative.", reason="invalid_max_chars", details=details)


def _check_glossary(terms: Sequence[Term]) -> None:
    if len(terms) > MAX_TERMS:
        raise InvalidInput(f"The glossary has more than {MAX_TERMS} terms.", reason="invalid_glossary")
    for text in (side for term in terms for side in (term.source, term.target)):
        if not clean(text) or len(text) > MAX_TERM_CHARS:
            raise InvalidInput(
                f"A term of the glossary is empty or longer than {MAX_TERM_CHARS} characters.",
                reason="invalid_glossary",
            )
