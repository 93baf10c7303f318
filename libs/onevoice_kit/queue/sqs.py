"""The queue on Amazon SQS."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onevoice_kit.aws import AwsClient, aws_errors
from onevoice_kit.errors import Conflict, OneVoiceError
from onevoice_kit.queue.base import Delivery, Message, QueueDepth
from onevoice_kit.settings import QueueSettings

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

BATCH = 10
"""SQS's limit for one request."""
_MAX_WAIT_S = 20
_MAX_VISIBILITY_S = 43_200
_STALE = {"ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue", "InvalidIdFormat"}
_CLOSE_S = 0.5
"""
Wait of `close` for receives that were given up, so that the messages they got become visible again. A long poll that
takes longer is cut, and what SQS hands to it afterwards comes back when the visibility given at receipt ends.
"""


class SqsQueue:
    """
    The queue port (see `base.Queue`) on a standard queue, and the `Sender` for it.

    A receipt that was released, deleted or whose visibility ended here is stale whatever the server answers, because
    SQS may accept an old receipt for a while after another receiver got the message.
    """

    def __init__(self, settings: QueueSettings, *, visibility_s: int | None = None) -> None:
        """`visibility_s`: time for which a message is hidden at receipt; None: the one of the settings."""
        self._url = settings.sqs_queue_url
        self._dlq_url = settings.sqs_dlq_url
        self._visibility_s = visibility_s or settings.sqs_visibility_timeout
        self._client: AwsClient[SQSClient] = AwsClient("sqs", settings)
        self._held: dict[str, float] = {}
        """Receipts by the moment until which the message is hidden."""
        self._given_up: set[asyncio.Task[None]] = set()

    async def receive(self, *, max_messages: int = 1, wait_s: float = 20.0) -> Sequence[Delivery]:
        # A poll that is broken off can take messages along, hidden from all until their visibility ends. So the
        # request always runs to its end, and messages without a waiting caller are given back.
        poll = asyncio.create_task(self._receive(max_messages, wait_s))
        try:
            return await asyncio.shield(poll)
        except asyncio.CancelledError:
            returning = asyncio.create_task(self._give_back(poll))
            self._given_up.add(returning)
            returning.add_done_callback(self._given_up.discard)
            raise

    async def extend(self, delivery: Delivery, seconds: int) -> None:
        if self._held.get(delivery.handle, 0.0) <= time.monotonic():
            raise _stale_receipt()
        await self._change_visibility(delivery, seconds)
        self._held[delivery.handle] = time.monotonic() + seconds

    async def release(self, delivery: Delivery, *, delay_s: int = 0) -> None:
        self._held.pop(delivery.handle, None)
        try:
            await self._change_visibility(delivery, delay_s)
        except Conflict:
            return

    async def delete(self, delivery: Delivery) -> None:
        self._held.pop(delivery.handle, None)
        client = await self._client.get()
        try:
            with sqs_errors():
                await client.delete_message(QueueUrl=self._url, ReceiptHandle=delivery.handle)
        except Conflict:
            return

    async def dead_letter(self, delivery: Delivery, reason: str) -> None:
        attributes = {**delivery.attributes, "deadLetterReason": reason}
        client = await self._client.get()
        letter = message_request(Message(delivery.body, attributes, delivery.group_id))
        with sqs_errors():
            await client.send_message(QueueUrl=self._dlq_url, **letter)
        # Last: if this fails, the message is dead-lettered twice rather than lost.
        await self.delete(delivery)

    async def depth(self) -> QueueDepth:
        client = await self._client.get()
        with sqs_errors():
            answer = await client.get_queue_attributes(
                QueueUrl=self._url,
                AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
            )
        counts: Mapping[str, str] = {str(name): value for name, value in answer["Attributes"].items()}
        return QueueDepth(
            visible=int(counts["ApproximateNumberOfMessages"]),
            in_flight=int(counts["ApproximateNumberOfMessagesNotVisible"]),
            oldest_age_s=None,
        )

    async def send(self, messages: Sequence[Message]) -> Sequence[bool]:
        """Sends up to ten messages; returns for each whether SQS has it."""
        entries: Any = [{"Id": str(number), **message_request(message)} for number, message in enumerate(messages)]
        client = await self._client.get()
        with sqs_errors():
            answer = await client.send_message_batch(QueueUrl=self._url, Entries=entries)
        arrived = {entry["Id"] for entry in answer.get("Successful", ())}
        return [str(number) in arrived for number in range(len(messages))]

    async def close(self) -> None:
        if self._given_up:
            _, late = await asyncio.wait(self._given_up, timeout=_CLOSE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._client.close()

    async def _receive(self, max_messages: int, wait_s: float) -> list[Delivery]:
        client = await self._client.get()
        with sqs_errors():
            answer = await client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(max_messages, BATCH),
                WaitTimeSeconds=min(math.ceil(wait_s), _MAX_WAIT_S),
                VisibilityTimeout=self._visibility_s,
                MessageSystemAttributeNames=["ApproximateReceiveCount", "MessageGroupId"],
                MessageAttributeNames=["All"],
            )
        deliveries = [delivery_from(message) for message in answer.get("Messages", ())]
        now = time.monotonic()
        self._held = {handle: until for handle, until in self._held.items() if until > now}
        self._held |= {delivery.handle: now + self._visibility_s for delivery in deliveries}
        return deliveries

    async def _give_back(self, poll: asyncio.Task[list[Delivery]]) -> None:
        try:
            for delivery in await poll:
                await self.release(delivery)
        except OneVoiceError:
            return  # the queue does not answer; the messages come back when their visibility ends

    async def _change_visibility(self, delivery: Delivery, seconds: int) -> None:
        client = await self._client.get()
        with sqs_errors():
            await client.change_message_visibility(
                QueueUrl=self._url,
                ReceiptHandle=delivery.handle,
                VisibilityTimeout=min(seconds, _MAX_VISIBILITY_S),
            )


def delivery_from(message: Any) -> Delivery:
    """A message as SQS gives it."""
    system = message["Attributes"]
    return Delivery(
        id=message["MessageId"],
        body=message["Body"],
        attributes={name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()},
        receive_count=int(system["ApproximateReceiveCount"]),
        handle=message["ReceiptHandle"],
        group_id=system.get("MessageGroupId", ""),
    )


def message_request(message: Message) -> dict[str, Any]:
    """The parameters of SQS for a message. It takes no empty attribute; a reader sees a missing one."""
    attributes = {
        name: {"DataType": "String", "StringValue": value} for name, value in message.attributes.items() if value
    }
    # On a standard queue a group is only about fair shares; one for messages without a user would make them noisy.
    group = {"MessageGroupId": message.group_id} if message.group_id else {}
    return {"MessageBody": message.body, "MessageAttributes": attributes, **group}


def sqs_errors() -> Any:
    """Raises the kit's errors; `Conflict` (reason `stale_receipt`) for an outdated receipt."""
    return aws_errors("queue", lambda code: _stale_receipt() if code.rpartition(".")[2] in _STALE else None)


def _stale_receipt() -> Conflict:
    return Conflict("The message is no longer held under this receipt.", reason="stale_receipt")
