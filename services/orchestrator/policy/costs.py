"""The cost of a job at the vendors' list prices, by stage and engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .line import Line
from .terminology import Terminology


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one result, or of several of one engine."""

    stage: str
    engine: str
    microusd: int | None
    """Millionths of a US dollar; None where it is not known."""


def shares(microusd: int | None, count: int) -> list[int | None]:
    """A cost in `count` parts that differ by at most 1, whose sum is the cost."""
    if microusd is None:
        return [None] * count
    return [microusd * (i + 1) // count - microusd * i // count for i in range(count)]


def of_terms(found: Terminology) -> list[Cost]:
    """The cost of describing the whole transcript for a language; nothing where there is none."""
    return [Cost("terms", found.engine.name, found.cost_microusd)] if found.engine else []


def of_lines(lines: Iterable[Line]) -> list[Cost]:
    """The costs of translation and synthesis of a language, by stage and engine."""
    found = []
    for line in lines:
        if line.translation:
            found.append(Cost("translate", line.translation.engine.name, line.translation.cost_microusd))
        if line.speech and line.speech.engine:
            found.append(Cost("tts", line.speech.engine.name, line.speech.cost_microusd))
    return added(found)


def added(costs: Iterable[Cost]) -> list[Cost]:
    """The costs added up by stage and engine, in the order in which these appear first."""
    sums: dict[tuple[str, str], int | None] = {}
    for cost in costs:
        before = sums.get((cost.stage, cost.engine), 0)
        known = before is not None and cost.microusd is not None
        sums[cost.stage, cost.engine] = before + cost.microusd if known else None  # type: ignore[operator]
    return [Cost(stage, engine, microusd) for (stage, engine), microusd in sums.items()]


def report(costs: Sequence[Cost]) -> list[dict[str, Any]]:
    """The costs as the report has them."""
    return [{"stage": cost.stage, "engine": cost.engine, "usd": usd(cost.microusd)} for cost in costs]


def total_usd(costs: Iterable[Cost]) -> str | None:
    """The sum; None where a part of it is not known."""
    parts = [cost.microusd for cost in costs]
    return None if None in parts else usd(sum(part for part in parts if part is not None))


def usd(microusd: int | None) -> str | None:
    """US dollars, a decimal number with six places."""
    return None if microusd is None else f"{microusd // 1_000_000}.{microusd % 1_000_000:06d}"
