"""Rates of speech and writing by language, from which lengths of texts are predicted."""

from __future__ import annotations

from onevoice_kit.languages import primary

_CHARS_PER_SECOND = {"ja": 7.5, "zh": 5.0, "ko": 7.0, "th": 12.0}
"""Languages whose script carries more per character than an alphabet does."""
_ALPHABETIC = 15.0
"""Characters, spaces included, of unhurried speech in an alphabetic script."""
_TWO_BYTES = frozenset("ar be bg el fa he hy mk ru sr uk ur".split())  # noqa: SIM905
_THREE_BYTES = frozenset("bn gu hi ja ka km kn ko lo ml mr my ne pa si ta te th zh".split())  # noqa: SIM905
"""Languages by the bytes that UTF-8 takes for a letter of theirs."""
_BYTES_PER_CHAR = {1: 1.03, 2: 1.8, 3: 2.8}
_TOKENS_PER_CHAR = {1: 0.3, 2: 0.5, 3: 1.0}
"""
By the bytes of a letter, measured on sentences in eleven languages, spaces and accents included; tokens by Whisper's
vocabulary of 50,000. Larger vocabularies, as those of newer models, need fewer.
"""


def chars_per_second(language: str) -> float:
    """Characters that unhurried speech in a language takes, spaces included."""
    return _CHARS_PER_SECOND.get(primary(language), _ALPHABETIC)


def bytes_per_char(language: str) -> float:
    """Bytes of a character of a text in the language, in UTF-8."""
    return _BYTES_PER_CHAR[_letter_bytes(language)]


def tokens_per_char(language: str) -> float:
    """Tokens that a language model counts for a character of a text in the language."""
    return _TOKENS_PER_CHAR[_letter_bytes(language)]


def _letter_bytes(language: str) -> int:
    known = primary(language)
    return 3 if known in _THREE_BYTES else 2 if known in _TWO_BYTES else 1
