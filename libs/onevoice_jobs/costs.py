"""Costs at the vendors' list prices, by stage and engine: those expected before a job, and those reported after it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from onevoice_kit.engines.base import Prices, Use, total_microusd


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one result, or of several of one engine."""

    stage: str
    engine: str
    microusd: int | None
    """Millionths of a US dollar; None where it is not known."""


def cost(stage: str, engine: str, prices: Prices | None, uses: Iterable[Use]) -> Cost:
    """The cost of calls by what each of them used: each is rounded up, as in the result of the call itself."""
    return Cost(stage, engine, total_microusd(prices, uses))


def shares(total: int | None, count: int) -> list[int | None]:
    """A cost, millionths of a US dollar, in `count` parts that differ by at most 1, whose sum is the cost."""
    if total is None:
        return [None] * count
    return [total * (i + 1) // count - total * i // count for i in range(count)]


def added(costs: Iterable[Cost]) -> list[Cost]:
    """The costs added up by stage and engine, in the order in which these appear first."""
    sums: dict[tuple[str, str], int | None] = {}
    for one in costs:
        before = sums.get((one.stage, one.engine), 0)
        known = before is not None and one.microusd is not None
        sums[one.stage, one.engine] = before + one.microusd if known else None  # type: ignore[operator]
    return [Cost(stage, engine, total) for (stage, engine), total in sums.items()]


def report(costs: Sequence[Cost]) -> list[dict[str, Any]]:
    """The costs as the report has them."""
    return [{"stage": one.stage, "engine": one.engine, "usd": usd(one.microusd)} for one in costs]


def total_usd(costs: Iterable[Cost]) -> str | None:
    """The sum; None where a part of it is not known."""
    parts = [one.microusd for one in costs]
    return None if None in parts else usd(sum(part for part in parts if part is not None))


def usd(total: int | None) -> str | None:
    """Millionths of a US dollar as US dollars, a decimal number with six places."""
    return None if total is None else f"{total // 1_000_000}.{total % 1_000_000:06d}"
