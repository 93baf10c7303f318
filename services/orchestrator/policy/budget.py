"""The length budget of a translation, so that it can be spoken in its slot."""

from __future__ import annotations

from .fitting import COMFORTABLE_SPEED

_CHARS_PER_SECOND = {"ja": 7.5, "zh": 5.0, "ko": 7.0, "th": 12.0}
"""Languages whose script carries more per character than an alphabet does."""
_ALPHABETIC = 15.0
"""Characters, spaces included, of unhurried speech in an alphabetic script."""


def max_chars(slot_ms: int, language: str) -> int:
    """Most characters that can be spoken in `slot_ms` at a comfortable speed; at least 8."""
    rate = _CHARS_PER_SECOND.get(language.split("-", maxsplit=1)[0].lower(), _ALPHABETIC)
    return max(8, int(slot_ms / 1000 * rate * COMFORTABLE_SPEED))
