"""In which order waiting rows of an outbox go: fair between groups, weighted by priority."""

from __future__ import annotations

from sqlalchemy import CTE, BigInteger, ColumnElement, FromClause, Table, bindparam, func, select

_SPARE = 200
"""Rows beyond what is asked for: at most so many may be locked by others just now."""
_DOUBLES_EVERY = 10.0
_FARTHEST = 100
"""Priorities beyond this count as this: the weight stays a number that a computer can hold."""


def turns(table: Table, candidates: ColumnElement[bool], held: FromClause) -> CTE:
    """
    `(id, turn)` of the candidate rows that are next, `:most` and some more for those that others have locked by then.
    The lowest turn goes first, then the lowest id.

    The turn of a group's n-th waiting row is (what the group holds already + n) / 2^(priority / 10): so a group takes
    part in proportion to its weight, however many rows it has waiting (weighted fair queueing with jobs of equal
    size, Demers, Keshav, Shenker 1989). Within a group the higher priority goes first, then the older row. `held` has
    columns `group_id` and `held`.
    """
    row = table.c
    rank = func.row_number().over(partition_by=row.group_id, order_by=(row.priority.desc(), row.id))
    priority = func.greatest(-_FARTHEST, func.least(_FARTHEST, row.priority))
    turn = (func.coalesce(held.c.held, 0) + rank) * func.power(2.0, -priority / _DOUBLES_EVERY)
    return (
        select(row.id, turn.label("turn"))
        .select_from(table.outerjoin(held, held.c.group_id == row.group_id))
        .where(candidates)
        .order_by("turn", row.id)
        .limit(bindparam("most", type_=BigInteger) + _SPARE)
        # Computed once whatever the planner believes; and few rows, so that any join with them is cheap.
        .cte("queued")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
