"""The use that a job is expected to make of its engines, before anything of it is known but its length."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from onevoice_jobs.costs import Cost, cost
from onevoice_jobs.options import Terms
from onevoice_jobs.rates import bytes_per_char, chars_per_second, tokens_per_char
from onevoice_kit.engines.base import Measure, Prices, Use

LIKELY_SOURCE = "en"
CHUNK_S = 15.0
"""Speech that is translated in one request: the recognition's chunk, at its default."""
LINE_S = 3.0
"""Length of a line."""
REQUEST_CHARS = 2_800
"""
Characters of a request to a language model besides its lines: instructions and schema (1,850), a description of the
whole, and six lines around. This and the following numbers are those of the engine `openai`; a test compares them.
"""
LINE_CHARS, ANSWER_LINE_CHARS = 45, 75
"""Names and signs around a line in a request, and around its three translations in the answer, in characters."""
PROPOSALS = 3
"""Translations of each line in an answer."""
PART_CHARS = 20_000
"""Characters of a transcript that one request for a description reads."""
PART_REQUEST_CHARS, DESCRIPTION_CHARS = 1_250, 1_600
"""Characters of that request besides the transcript, and of its answer."""
_TEXT_TOKENS, _SIGN_TOKENS = 0.33, 0.45
"""Tokens of a character of instructions and descriptions, and of names and signs (see `rates.tokens_per_char`)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine, as the catalogue has it."""

    name: str
    model: str
    prices: Prices | None
    wants_summary: bool = False


@dataclass(frozen=True, slots=True)
class LanguageChoice:
    """A target language and the engines that will serve it."""

    language: str
    translate: Choice
    tts: tuple[Choice, ...]
    """Engines of its voices, each of which speaks an equal part."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A job as it is known before it begins."""

    duration_ms: int
    """All of it counts as speech."""
    source: str | None
    """Language; None where it is yet to be identified: then it counts as `LIKELY_SOURCE`."""
    asr: Choice
    targets: tuple[LanguageChoice, ...]
    terminology: Terms = "auto"

    @property
    def seconds(self) -> float:
        """Length of the source."""
        return self.duration_ms / 1000

    @property
    def chunks(self) -> int:
        """Number of requests for its translation."""
        return max(1, math.ceil(self.seconds / CHUNK_S))

    @property
    def spoken(self) -> str:
        """The language that is spoken, as far as it is known."""
        return self.source or LIKELY_SOURCE

    def chars(self, language: str) -> int:
        """Characters of all its lines in a language."""
        return round(self.seconds * chars_per_second(language))


@dataclass(frozen=True, slots=True)
class Expected:
    """The use of one engine at one stage."""

    stage: str
    language: str | None
    """None for what is done once for a job."""
    engine: Choice
    use: Use

    @property
    def cost(self) -> Cost:
        """At list price."""
        return cost(self.stage, self.engine.name, self.engine.prices, [self.use])

    @property
    def units(self) -> list[tuple[str, float]]:
        """The units that the vendor prices, and the expected number of each."""
        return [(str(price.unit), price.units(self.use)) for price in self.engine.prices or ()]


def expected(plan: Plan) -> Iterator[Expected]:
    """The use by stage, engine and language; the stages are those of the report's costs."""
    yield Expected("asr", None, plan.asr, {Measure.AUDIO_SECONDS: plan.seconds})
    for target in plan.targets:
        if target.translate.wants_summary and plan.terminology != "off" and plan.chunks > 1:
            yield Expected("terms", target.language, target.translate, _description(plan))
        yield Expected("translate", target.language, target.translate, _translation(plan, target.language))
        for engine in target.tts:
            yield Expected("tts", target.language, engine, _synthesis(plan, target.language, 1 / len(target.tts)))


@dataclass(frozen=True, slots=True)
class Assumption:
    """A number that an estimate rests on."""

    name: str
    language: str | None
    """None where it is the same for every language."""
    value: float


def assumptions(plan: Plan) -> list[Assumption]:
    """The numbers that the estimate of a job rests on."""
    languages = dict.fromkeys([plan.spoken, *(target.language for target in plan.targets)])
    return [
        Assumption("speech_seconds", None, plan.seconds),
        Assumption("seconds_per_request", None, CHUNK_S),
        Assumption("seconds_per_line", None, LINE_S),
        *(Assumption("characters_per_second", tag, chars_per_second(tag)) for tag in languages),
        *(Assumption("tokens_per_character", tag, tokens_per_char(tag)) for tag in languages),
    ]


def _description(plan: Plan) -> Use:
    chars = plan.chars(plan.spoken)
    parts = max(1, math.ceil(chars / PART_CHARS))
    read = chars * tokens_per_char(plan.spoken) + parts * PART_REQUEST_CHARS * _TEXT_TOKENS
    return {Measure.INPUT_TOKENS: round(read), Measure.OUTPUT_TOKENS: round(parts * DESCRIPTION_CHARS * _TEXT_TOKENS)}


def _translation(plan: Plan, language: str) -> Use:
    lines, chars = math.ceil(plan.seconds / LINE_S), plan.chars(plan.spoken)
    around = plan.chunks * REQUEST_CHARS * _TEXT_TOKENS + lines * LINE_CHARS * _SIGN_TOKENS
    written = lines * ANSWER_LINE_CHARS * _SIGN_TOKENS + PROPOSALS * plan.chars(language) * tokens_per_char(language)
    return {
        Measure.CHARACTERS: chars,
        Measure.INPUT_TOKENS: round(around + chars * tokens_per_char(plan.spoken)),
        Measure.OUTPUT_TOKENS: round(written),
    }


def _synthesis(plan: Plan, language: str, share: float) -> Use:
    chars = round(plan.chars(language) * share)
    return {
        Measure.CHARACTERS: chars,
        Measure.UTF8_BYTES: round(chars * bytes_per_char(language)),
        Measure.AUDIO_SECONDS: plan.seconds * share,
    }
