"""The queue port and its adapters: `outbox` (a table) and `sqs`, with the relay between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onevoice_kit.queue.base import DeadLetters, Delivery, Message, Queue, QueueDepth, Sender
from onevoice_kit.settings import QueueSettings

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.ext.asyncio import AsyncEngine

    from onevoice_kit.db.listener import Listener

__all__ = ["DeadLetters", "Delivery", "Message", "Queue", "QueueDepth", "Sender", "open_dead_letters", "open_queue"]


def open_queue(
    settings: QueueSettings,
    engine: AsyncEngine,
    table: Table,
    *,
    listener: Listener | None = None,
    visibility_s: int | None = None,
) -> Queue:
    """
    The queue that the settings name: SQS, or the outbox `table` itself. Close it when the process ends.
    `listener` is the process's own, where it has one; the outbox is woken through it. `visibility_s` is how long a
    message is hidden at receipt, where it is not the setting.
    """
    if settings.use_sqs_task_queue:
        from onevoice_kit.queue.sqs import SqsQueue

        return SqsQueue(settings, visibility_s=visibility_s)
    from onevoice_kit.queue.outbox import OutboxQueue

    hidden_s = visibility_s or settings.sqs_visibility_timeout
    return OutboxQueue(
        engine,
        table,
        hidden_s,
        listener=listener,
        max_receives=settings.queue_max_receives,
        age_s=settings.queue_age_s,
        most_per_group=settings.queue_max_per_group,
    )


def open_dead_letters(settings: QueueSettings, engine: AsyncEngine, table: Table) -> DeadLetters:
    """The dead letters of the queue that `open_queue` opens. Close it in the end."""
    from onevoice_kit.queue.dead_letters import OutboxDeadLetters, SqsDeadLetters

    return SqsDeadLetters(settings) if settings.use_sqs_task_queue else OutboxDeadLetters(engine, table)
