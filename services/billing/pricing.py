"""The price of a job: 1 credit is 1 second of dubbed output in one language."""

from __future__ import annotations

from dataclasses import dataclass

from onevoice_kit.errors import InvalidInput

MAX_DURATION_MS = 7 * 24 * 3_600_000
MAX_LANGUAGES = 200


@dataclass(frozen=True, slots=True)
class Price:
    """Credits for a job."""

    credits: int
    credits_per_language: int


def quote(duration_ms: int, languages: int) -> Price:
    """
    The price of dubbing `duration_ms` into `languages` languages; started seconds count whole.

    Raises `InvalidInput` (reasons `invalid_duration`, `invalid_languages`) for what is not positive or beyond reason.
    """
    if not 0 < duration_ms <= MAX_DURATION_MS:
        raise InvalidInput("The duration is not valid.", reason="invalid_duration")
    if not 0 < languages <= MAX_LANGUAGES:
        raise InvalidInput("The number of languages is not valid.", reason="invalid_languages")
    per_language = -(-duration_ms // 1000)
    return Price(per_language * languages, per_language)
