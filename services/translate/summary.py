"""Describes a whole transcript with the engine that would translate it: once for a job and a pair of languages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from onevoice_kit.engines.base import EngineInfo, Use
from onevoice_kit.engines.layers import Limit
from onevoice_kit.errors import InvalidInput, OneVoiceError
from onevoice_kit.text import clean
from services.translate.engines.base import SummarizingEngine, Summary, Term, TranslationEngine
from services.translate.engines.registry import Engines
from services.translate.translation import MAX_CHARS, check_glossary, unsupported

MAX_LINES = 20_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Transcript:
    """A transcript and the languages of its translation."""

    source_language: str
    target_language: str
    lines: tuple[str, ...]
    """In time order."""
    glossary: tuple[Term, ...] = ()
    engine: str = ""
    """Name of the engine; empty takes the first that serves the pair."""


@dataclass(frozen=True, slots=True)
class Described:
    """The description of a transcript."""

    summary: Summary
    engine: EngineInfo
    cost_microusd: int | None = 0
    """At list price, millionths of a US dollar; None where it is not known."""
    problem: str = ""
    """Reason of the error because of which there is no summary."""


class Summarizer:
    """The use case behind Summarize."""

    def __init__(self, engines: Engines, limit: Limit) -> None:
        """`limit` bounds the calls that run and wait at once."""
        self._engines = engines
        self._limit = limit

    async def summarize(self, asked: Transcript, report: Callable[[float], None]) -> Described:
        """
        The summary by the first engine that serves the pair; empty where that engine wants none. A summary is an aid:
        an error that no other attempt would mend, or one after which another engine would translate, leaves it empty.

        Raises as `Translator.translate` does, and `InvalidInput` (`transcript_too_long`).
        """
        _check(asked)
        source, target = asked.source_language, asked.target_language
        async with self._limit.place():
            candidates = await self._engines.candidates(
                asked.engine, lambda one: one.pair_for(source, target), unsupported(source, target)
            )
            first = candidates[0]
            used = first.engine.used_for(first.served)
            lines = [text for line in asked.lines if (text := clean(line))]
            if not first.capabilities.wants_summary or not lines:
                return Described(Summary(), used)

            async def work(engine: TranslationEngine) -> tuple[Summary, Use]:
                return await cast(SummarizingEngine, engine).summarize(first.served, lines, asked.glossary, report)

            try:
                summary, use = await first.call(work)
            except OneVoiceError as error:
                if error.retryable and len(candidates) == 1:
                    raise
                _log.warning("a transcript has no summary", extra={"engine": used.name, "reason": error.reason})
                return Described(Summary(), used, problem=error.reason)
        return Described(summary, used, used.microusd(use))


def _check(asked: Transcript) -> None:
    if len(asked.lines) > MAX_LINES or _longest(asked.lines) > MAX_CHARS:
        message = f"The transcript has more than {MAX_LINES} lines, or one of more than {MAX_CHARS} characters."
        raise InvalidInput(message, reason="transcript_too_long")
    check_glossary(asked.glossary)


def _longest(lines: Sequence[str]) -> int:
    return max(map(len, lines), default=0)
