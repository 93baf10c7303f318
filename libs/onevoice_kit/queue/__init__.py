"""The queue port and its adapters: `outbox` (a table) and `sqs`, with the relay between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onevoice_kit.queue.base import Delivery, Message, Queue, QueueDepth, Sender
from onevoice_kit.settings import QueueSettings

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.ext.asyncio import AsyncEngine

    from onevoice_kit.db.listener import Listener

__all__ = ["Delivery", "Message", "Queue", "QueueDepth", "Sender", "open_queue"]


def open_queue(
    settings: QueueSettings, engine: AsyncEngine, table: Table, *, listener: Listener | None = None
) -> Queue:
    """
    The queue that the settings name: SQS, or the outbox `table` itself. Close it when the process ends.
    `listener` is the process's own, where it has one; the outbox is woken through it.
    """
    if settings.use_sqs_task_queue:
        from onevoice_kit.queue.sqs import SqsQueue

        return SqsQueue(settings)
    from onevoice_kit.queue.outbox import OutboxQueue

    return OutboxQueue(engine, table, settings.sqs_visibility_timeout, listener=listener)
