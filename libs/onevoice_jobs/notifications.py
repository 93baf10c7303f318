"""
Notifications about jobs: rows written in the transaction they report, sent afterwards by any number of senders.

The end of a job writes its rows in its own statement (`statements.py`), under a key made of the job and its outcome:
however often an end is tried, there is one row. A sender that dies between sending and marking sends once more; the key
goes with the message, so that a receiver can recognize the repetition.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import case, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs.models import notifications
from onevoice_kit.db import transaction

_KEEP_S = 30 * 86_400.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 3_600.0


class NotificationKind(enum.StrEnum):
    """The recipients of a notice."""

    MAIL = "mail"
    """The owner of the job."""
    ALERT = "alert"
    """The operators of the deployment."""


@dataclass(frozen=True, slots=True)
class Notification:
    """A mail or an alert to send."""

    key: str
    """The same for every repetition of one notification."""
    kind: NotificationKind
    recipient: str
    """Mail address; empty for alerts."""
    data: Mapping[str, Any]
    """`event`, and what belongs to it."""
    attempts: int
    """Number of attempts, this one included."""


class Alerts(Protocol):
    """Notes alerts for the operators."""

    async def raise_alert(self, key: str, data: Mapping[str, Any]) -> None:
        """Notes an alert, once per key."""
        ...


class PostgresAlerts:
    """Alerts as rows, sent with the other notifications."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def raise_alert(self, key: str, data: Mapping[str, Any]) -> None:
        """Notes an alert, once per key."""
        values = {"key": key, "kind": NotificationKind.ALERT.value, "data": dict(data)}
        async with transaction(self._engine) as connection:
            await connection.execute(insert(notifications).values(values).on_conflict_do_nothing())


async def take_due(engine: AsyncEngine, *, limit: int = 10, hold_s: float = 60.0) -> list[Notification]:
    """Takes notifications to send, oldest first; what is not marked within `hold_s` comes again."""
    row = notifications.c
    due = (
        select(row.key)
        .where(row.sent_at.is_(None), row.dropped_at.is_(None), row.available_at <= func.now())
        .order_by(row.available_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    statement = (
        update(notifications)
        .where(row.key.in_(due))
        .values(available_at=_in(hold_s), attempts=row.attempts + 1)
        .returning(row.key, row.kind, row.recipient, row.data, row.attempts, row.created_at)
    )
    async with transaction(engine) as connection:
        found = (await connection.execute(statement)).all()
    ordered = sorted(found, key=lambda item: (item.created_at, item.key))
    return [
        Notification(item.key, NotificationKind(item.kind), item.recipient, item.data, item.attempts)
        for item in ordered
    ]


async def mark_sent(engine: AsyncEngine, keys: Collection[str]) -> None:
    """The notifications are on their way."""
    sent = update(notifications).where(notifications.c.key.in_(keys)).values(sent_at=func.now(), error=None)
    async with transaction(engine) as connection:
        await connection.execute(sent)


async def mark_failed(engine: AsyncEngine, key: str, error: str, *, max_attempts: int) -> None:
    """Notes why it could not be sent. It comes again, each time after a longer pause, `max_attempts` times in all."""
    row = notifications.c
    pause_s = func.least(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * func.power(2, func.least(row.attempts - 1, 16)))
    given_up = case((row.attempts >= max_attempts, func.now()), else_=None)
    values = {"error": error, "available_at": _in(pause_s), "dropped_at": given_up}
    async with transaction(engine) as connection:
        await connection.execute(update(notifications).where(row.key == key).values(values))


async def forget_sent(engine: AsyncEngine, *, older_than_s: float = _KEEP_S) -> int:
    """Drops what was sent or given up long ago; returns how many."""
    row = notifications.c
    oldest = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, older_than_s)
    async with transaction(engine) as connection:
        old = or_(row.sent_at < oldest, row.dropped_at < oldest)
        return (await connection.execute(delete(notifications).where(old))).rowcount


def _in(seconds: Any) -> Any:
    return func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
