"""In which order waiting rows of an outbox go: fair between groups, weighted by priority, which grows with waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Double,
    FromClause,
    Integer,
    Table,
    bindparam,
    cast,
    func,
    or_,
    select,
)

AGE_S = 600.0
"""A message that has waited so long counts as one class higher."""
_SPARE = 200
"""Rows beyond those requested: at most so many may be locked by others just now."""
_CLASS = 10
"""Between two classes of priority; one more doubles the weight."""
_OLD = 10
"""As high as waiting lifts a priority."""
_FARTHEST = 100
"""Priorities beyond this count as this: the weight stays a number that a computer can hold."""


def turns(
    table: Table, candidates: ColumnElement[bool], held: FromClause, age_s: float = AGE_S, most_per_group: int = 0
) -> CTE:
    """
    `(id, turn)` of the candidate rows that are next, `:most` and some more for those that others have locked by then.
    The lowest turn goes first, then the lowest id.

    The turn of a group's n-th waiting row is (what the group holds already + n) / 2^(priority / 10): so a group takes
    part in proportion to its weight, however many rows it has waiting (weighted fair queueing with jobs of equal
    size, Demers, Keshav, Shenker 1989). Within a group the higher priority goes first, then the older row. The priority
    is the one that a row has by now, see `aged`. `held` has columns `group_id` and `held`. A row whose group would then
    hold more than `most_per_group` is left out (0: none is; rows without a group never are). That bound is exact also
    for claims at the same time: they see the same rows within it, of which each locks some.
    """
    row = table.c
    priority = _aged(row.priority, row.created_at, age_s)
    rank = func.row_number().over(partition_by=row.group_id, order_by=(priority.desc(), row.id))
    taken = func.coalesce(held.c.held, 0) + rank
    ranked = (
        select(row.id, (taken * func.power(2.0, -priority / float(_CLASS))).label("turn"))
        .select_from(table.outerjoin(held, held.c.group_id == row.group_id))
        .where(candidates)
    )
    if most_per_group:
        bounded = ranked.add_columns(row.group_id, taken.label("taken")).subquery("ranked")
        within = or_(bounded.c.group_id == "", bounded.c.taken <= most_per_group)
        ranked = select(bounded.c.id, bounded.c.turn).where(within)
    return (
        ranked.order_by(ranked.selected_columns.turn, ranked.selected_columns.id)
        .limit(bindparam("most", type_=BigInteger) + _SPARE)
        # Computed once whatever the planner believes; and few rows, so that any join with them is cheap.
        .cte("queued")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits."""

    id: int
    """Grows with every message."""
    group_id: str
    priority: int
    waited_s: float


def in_turn(
    waiting: Iterable[Waiting], held: Mapping[str, int], age_s: float = AGE_S, most_per_group: int = 0
) -> list[int]:
    """The ids of the messages, the next one first: the rule of `turns` where there is no table. `held` by group."""
    taken = Counter(held)
    ranked: list[tuple[float, int]] = []
    by_priority = sorted((-aged(one.priority, one.waited_s, age_s), one.id, one.group_id) for one in waiting)
    for falling, number, group in by_priority:
        taken[group] += 1
        if not most_per_group or not group or taken[group] <= most_per_group:
            ranked.append((taken[group] * 2.0 ** (falling / _CLASS), number))
    return [number for _, number in sorted(ranked)]


def aged(priority: int, waited_s: float, age_s: float = AGE_S) -> int:
    """
    Raises a priority by the time waited: one class (10) for each `age_s`, up to 10, so that nothing waits for ever
    behind newer messages; a priority above 10 stays as it is.
    """
    bounded = max(-_FARTHEST, min(_FARTHEST, priority))
    return max(bounded, min(_OLD, bounded + _CLASS * int(waited_s // age_s)))


def _aged(priority: ColumnElement[int], since: ColumnElement[Any], age_s: float) -> ColumnElement[int]:
    """The same in SQL, by the time since when it waits. Whole numbers: what is sorted stays small."""
    waited_s = cast(func.extract("epoch", func.now() - since), Double)
    bounded = func.greatest(-_FARTHEST, func.least(_FARTHEST, priority))
    return func.greatest(bounded, func.least(_OLD, bounded + _CLASS * cast(func.floor(waited_s / age_s), Integer)))
