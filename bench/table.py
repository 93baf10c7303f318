"""A row of the table and how it is printed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement: a ratio of two figures taken in the same run."""

    name: str
    value: float
    goal: float | None
    """The value should be at most this; None: for information."""
    detail: str
    """The figures behind the ratio."""

    @property
    def verdict(self) -> str:
        """`met` or `missed`; empty without a goal."""
        if self.goal is None:
            return ""
        return "met" if self.value <= self.goal else f"missed by {self.value - self.goal:.2f}"


Bench = Callable[[], list[Row]]


def render(rows: list[Row]) -> str:
    """The table as aligned text."""
    head = ("measured", "value", "goal", "", "figures")
    body = [
        (row.name, f"{row.value:.2f}", "" if row.goal is None else f"≤ {row.goal:g}", row.verdict, row.detail)
        for row in rows
    ]
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in [head, *body]]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
