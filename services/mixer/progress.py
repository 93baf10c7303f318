"""Progress of a call that has several parts."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[float], None]
"""Receives the share of the work done, 0 to 1; may be called from any thread."""


def silent(fraction: float) -> None:
    """Drops the report."""


def part(report: Report, begin: float, end: float) -> Report:
    """Reports one part, 0 to 1, as the share `begin` to `end` of the whole."""
    return lambda fraction: report(begin + (end - begin) * min(1.0, max(0.0, fraction)))
