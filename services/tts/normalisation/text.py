"""The entry to normalisation: a line as it is written, in a language, as the words to speak."""

from __future__ import annotations

import unicodedata

from babel.core import UnknownLocaleError

from services.tts.normalisation.rules import Rules, rules
from services.tts.normalisation.words import LANGUAGES

MAX_SPOKEN = 8_000
"""Longest result, in characters; a line whose words would be longer stays as written."""


def spoken(text: str, language: str) -> str:
    """
    The text with numbers, dates, times, money, units, abbreviations and addresses as words; `language` is BCP-47.

    In a language without rules here, and where the words would be longer than `MAX_SPOKEN`, the text as it is. Raises
    nothing for any text.
    """
    subtag, _, rest = language.partition("-")
    if subtag not in LANGUAGES:
        return text
    read = _rules(subtag, rest).spoken("".join(map(_ascii_digit, text)))
    return " ".join(read.split()) if len(read) <= MAX_SPOKEN else text


def _rules(subtag: str, rest: str) -> Rules:
    region = next((part for part in rest.split("-") if len(part) in (2, 3)), "")
    try:
        return rules(subtag, f"{subtag}_{region.upper()}" if region else subtag)
    except (UnknownLocaleError, ValueError):
        return rules(subtag, subtag)


def _ascii_digit(char: str) -> str:
    return str(unicodedata.decimal(char)) if char.isdecimal() else char
