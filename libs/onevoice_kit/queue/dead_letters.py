"""Dead letters on the outbox table and on SQS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.elements import ColumnElement

from onevoice_kit.aws import AwsClient
from onevoice_kit.db.engine import transaction
from onevoice_kit.queue.base import DeadLetter, Message
from onevoice_kit.queue.outbox import RECEIVED_TOO_OFTEN, channel_of, notify
from onevoice_kit.queue.sqs import BATCH, delivery_from, message_request, sqs_errors
from onevoice_kit.settings import QueueSettings

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

REASON = "deadLetterReason"
"""The attribute that carries the reason on SQS."""
_HOLD_S = 120
"""Time for which letters are hidden from other operators while one reads them."""


class OutboxDeadLetters:
    """The port (see `base.DeadLetters`) on the dead rows of an outbox table."""

    def __init__(self, engine: AsyncEngine, table: Table) -> None:
        self._engine = engine
        self._table = table

    async def peek(self, *, limit: int = 100) -> Sequence[DeadLetter]:
        """The oldest first."""
        row = self._table.c
        query = select(self._table).where(row.dead_at.is_not(None)).order_by(row.dead_at, row.id).limit(limit)
        async with transaction(self._engine) as connection:
            found = (await connection.execute(query)).all()
        return [
            DeadLetter(
                str(item.id), item.body, item.attributes, item.dead_reason or "", item.receive_count, item.dead_at
            )
            for item in found
        ]

    async def redrive(self, ids: Collection[str] | None = None) -> int:
        """Makes rows wait again, as if never received."""
        fresh = {"dead_at": None, "dead_reason": None, "receive_count": 0, "available_at": func.now()}
        async with transaction(self._engine) as connection:
            moved = (await connection.execute(update(self._table).where(*self._chosen(ids)).values(fresh))).rowcount
            if moved:
                await notify(connection, channel_of(self._table))
        return moved

    async def drop(self, ids: Collection[str] | None = None) -> int:
        """Deletes rows."""
        async with transaction(self._engine) as connection:
            return (await connection.execute(delete(self._table).where(*self._chosen(ids)))).rowcount

    async def close(self) -> None:
        """The engine is its owner's."""

    def _chosen(self, ids: Collection[str] | None) -> list[ColumnElement[bool]]:
        dead: list[ColumnElement[bool]] = [self._table.c.dead_at.is_not(None)]
        if ids is None:
            return dead
        return [*dead, self._table.c.id.in_([int(letter) for letter in ids if letter.isdecimal()])]


class SqsDeadLetters:
    """
    The port (see `base.DeadLetters`) on a dead-letter queue, by plain receives and sends: so single letters can be
    chosen, which SQS's own redrive task does not offer. What is looked at is hidden meanwhile, and shown again after.
    """

    def __init__(self, settings: QueueSettings, *, wait_s: int = 1) -> None:
        """`wait_s`: wait of the last receive. With 0 SQS queries only some of its servers and may miss letters."""
        self._wait_s = wait_s
        self._url = settings.sqs_queue_url
        self._dlq_url = settings.sqs_dlq_url
        self._client: AwsClient[SQSClient] = AwsClient("sqs", settings)

    async def peek(self, *, limit: int = 100) -> Sequence[DeadLetter]:
        """As SQS gives them: in no certain order, and perhaps not all at once."""
        async with self._letters(limit) as letters:
            return [_letter(letter) for letter in letters]

    async def redrive(self, ids: Collection[str] | None = None) -> int:
        """Sends them to the queue again, then deletes them: one that is in between twice is better than lost."""
        return await self._each(ids, send=True)

    async def drop(self, ids: Collection[str] | None = None) -> int:
        """Deletes them."""
        return await self._each(ids, send=False)

    async def close(self) -> None:
        """Gives connections back."""
        await self._client.close()

    async def _each(self, ids: Collection[str] | None, *, send: bool) -> int:
        done, client = 0, await self._client.get()
        async with self._letters(None) as letters:
            for letter in [letter for letter in letters if ids is None or letter["MessageId"] in ids]:
                with sqs_errors():
                    if send:
                        await client.send_message(QueueUrl=self._url, **message_request(_message(letter)))
                    await client.delete_message(QueueUrl=self._dlq_url, ReceiptHandle=letter["ReceiptHandle"])
                letters.remove(letter)
                done += 1
        return done

    @asynccontextmanager
    async def _letters(self, limit: int | None) -> AsyncIterator[list[Any]]:
        """Letters, hidden for the length of the block; those that are left in the list are shown again."""
        found: list[Any] = []
        try:
            while limit is None or len(found) < limit:
                batch = await self._receive(BATCH if limit is None else min(BATCH, limit - len(found)))
                if not batch:
                    break
                found += batch
            yield found
        finally:
            await asyncio.gather(*(self._show(letter) for letter in found), return_exceptions=True)

    async def _receive(self, most: int) -> Sequence[Any]:
        client = await self._client.get()
        with sqs_errors():
            answer = await client.receive_message(
                QueueUrl=self._dlq_url,
                MaxNumberOfMessages=most,
                WaitTimeSeconds=self._wait_s,
                VisibilityTimeout=_HOLD_S,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
        return answer.get("Messages", ())

    async def _show(self, letter: Any) -> None:
        client = await self._client.get()
        with sqs_errors():
            await client.change_message_visibility(
                QueueUrl=self._dlq_url, ReceiptHandle=letter["ReceiptHandle"], VisibilityTimeout=0
            )


def _letter(message: Any) -> DeadLetter:
    delivery = delivery_from(message)
    attributes = dict(delivery.attributes)
    # Redriven by SQS itself, it has no reason with it.
    reason = attributes.pop(REASON, RECEIVED_TOO_OFTEN)
    sent = datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)
    return DeadLetter(delivery.id, delivery.body, attributes, reason, delivery.receive_count, sent)


def _message(message: Any) -> Message:
    delivery = delivery_from(message)
    attributes = {name: value for name, value in delivery.attributes.items() if name != REASON}
    return Message(delivery.body, attributes, delivery.group_id)
