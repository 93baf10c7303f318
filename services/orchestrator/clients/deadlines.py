"""Deadlines of calls to a stage."""

from __future__ import annotations

SHORT_S = 30.0
"""A call whose work does not grow with the media."""


def for_media(duration_ms: int, per_second: float, base_s: float = 120.0) -> float:
    """Seconds for work that takes at most `per_second` seconds for each second of media."""
    return base_s + duration_ms / 1000 * per_second
