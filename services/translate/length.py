"""The length of a translation, as it counts in the time of its line."""

from __future__ import annotations

from onevoice_kit.languages import primary

_SPOKEN_DIGIT = 5
"""Characters that a digit takes when spoken in an alphabetic script: “2026” is “two thousand twenty-six”."""
_SYLLABIC = frozenset({"ja", "zh", "ko"})
"""Languages whose digits are about as long written as spoken."""


def spoken_chars(text: str, language: str) -> int:
    """The length that counts in the time of a line: its characters, digits as long as they are spoken."""
    digits = 0 if primary(language) in _SYLLABIC else sum(char.isdigit() for char in text)
    return len(text) + digits * (_SPOKEN_DIGIT - 1)
