"""A translation engine that needs nothing: English to Shouting, in capitals; its dictionary lacks words with `q`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from onevoice_kit.engines.base import EngineInfo, Measure, Use
from onevoice_kit.errors import Unavailable
from services.translate.engines.base import (
    NO_CONTEXT,
    Capabilities,
    Context,
    LanguagePair,
    Line,
    Summary,
    Term,
    Translation,
)
from services.translate.settings import TranslateSettings

PAIRS = (LanguagePair("en", "es"), LanguagePair("en", "ca"))


def create(settings: TranslateSettings) -> FakeEngine:
    return FakeEngine()


class FakeEngine:
    """Raises `Unavailable` for a line with the word "outage", answers nothing for one with "silence"."""

    def __init__(self, available: bool = True, name: str = "fake", pairs: tuple[LanguagePair, ...] = PAIRS) -> None:
        self.failure: Exception | None = None
        self.name, self.pairs = name, pairs
        self.seen: list[Line] = []
        self.contexts: list[Context] = []
        self.transcripts: list[Sequence[str]] = []
        self.wants_summary = False
        self.closed = False
        self._available = available

    async def describe(self) -> Capabilities:
        missing = "" if self._available else "The engine “fake” needs a key."
        return Capabilities(
            info=EngineInfo(self.name, "", "1"), pairs=self.pairs, missing=missing, wants_summary=self.wants_summary
        )

    async def warm(self) -> None:
        """Has nothing to load."""

    def used_for(self, pair: LanguagePair) -> EngineInfo:
        return EngineInfo(self.name, f"{pair.source}-{pair.target}", "1")

    async def translate(
        self,
        pair: LanguagePair,
        lines: Sequence[Line],
        terms: Sequence[Term],
        report: Callable[[float], None],
        context: Context = NO_CONTEXT,
    ) -> list[Translation]:
        self.seen += lines
        self.contexts.append(context)
        if self.failure is not None:
            raise self.failure
        done = [self._line(line, terms) for line in lines]
        report(1.0)
        return done

    async def summarize(
        self, pair: LanguagePair, lines: Sequence[str], terms: Sequence[Term], report: Callable[[float], None]
    ) -> tuple[Summary, Use]:
        self.transcripts.append(lines)
        if self.failure is not None:
            raise self.failure
        report(1.0)
        return Summary("A talk.", (Term("house", "casa"),)), {Measure.INPUT_TOKENS: 1000}

    async def close(self) -> None:
        self.closed = True

    def _line(self, line: Line, terms: Sequence[Term]) -> Translation:
        if "outage" in line.text.lower():
            raise Unavailable("The engine is out.", reason="engine_failed")
        if "silence" in line.text.lower():
            return Translation("")
        words = [word for word in re.findall(r"\w+", line.text) if "q" in word]
        return Translation(_shout(line.text, terms), tuple(dict.fromkeys(words)))


def _shout(text: str, terms: Sequence[Term]) -> str:
    if not terms:
        return text.upper()
    fixed = {term.source.lower(): term.target for term in terms}
    pattern = "|".join(rf"(?<!\w){re.escape(source)}(?!\w)" for source in fixed)
    pieces = re.split(f"({pattern})", text, flags=re.IGNORECASE)
    return "".join(fixed.get(piece.lower(), piece.upper()) for piece in pieces)
