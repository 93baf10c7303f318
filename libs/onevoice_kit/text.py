"""Text that comes from outside, made safe for one line of speech, translation or captions."""

from __future__ import annotations

import unicodedata

_JOINERS = "\u200c\u200d"
"""They shape Indic and Arabic letters and emoji; other format characters only hide things."""


def clean(text: str) -> str:
    """The text composed (NFC), without control and format characters, every run of white space one space."""
    composed = unicodedata.normalize("NFC", text)
    if composed.isprintable():
        return " ".join(composed.split())
    kept = (" " if unicodedata.category(char) in ("Cc", "Zl", "Zp") else char for char in composed if _is_visible(char))
    return " ".join("".join(kept).split())


def _is_visible(char: str) -> bool:
    return char in _JOINERS or unicodedata.category(char) not in ("Cf", "Co", "Cn", "Cs")
