"""The queue contract runs over every adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import MetaData, select
from sqlalchemy.schema import CreateSchema

from onevoice_kit import db
from onevoice_kit.queue.base import DeadLetters, Message, Queue
from onevoice_kit.queue.dead_letters import OutboxDeadLetters, SqsDeadLetters
from onevoice_kit.queue.outbox import OutboxQueue, enqueue, outbox_table
from onevoice_kit.queue.sqs import SqsQueue
from onevoice_kit.settings import DatabaseSettings
from onevoice_kit.testing.memory_queue import MemoryQueue
from onevoice_local.aws import Aws, AwsServer

VISIBILITY_S = 30


@dataclass(frozen=True)
class QueueUnderTest:
    """A queue and the way messages get into it."""

    queue: Queue
    send: Callable[[Message], Awaitable[object]]
    dead_letters: Callable[[], Awaitable[list[tuple[str, str]]]]
    """Body and reason of every dead letter."""
    letters: DeadLetters | None = None
    """The operators' side of it; the queue in memory has no operators."""


@pytest.fixture
async def outbox(postgres_url: str) -> AsyncIterator[QueueUnderTest]:
    """The queue on a table."""
    engine = db.create_engine(DatabaseSettings(database_url=postgres_url))
    metadata = MetaData()
    table = outbox_table(metadata, "work")
    async with db.transaction(engine) as connection:
        await connection.execute(CreateSchema("work"))
        await connection.run_sync(metadata.create_all)

    async def send(message: Message) -> None:
        async with db.transaction(engine) as connection:
            await enqueue(connection, table, message)

    async def dead_letters() -> list[tuple[str, str]]:
        async with db.transaction(engine) as connection:
            rows = await connection.execute(
                select(table.c.body, table.c.dead_reason).where(table.c.dead_at.is_not(None))
            )
            return [(row.body, row.dead_reason) for row in rows]

    queue = OutboxQueue(engine, table, VISIBILITY_S)
    yield QueueUnderTest(queue, send, dead_letters, OutboxDeadLetters(engine, table))
    await queue.close()
    await engine.dispose()


@pytest.fixture
async def sqs(aws: Aws, local_aws: AwsServer) -> AsyncIterator[QueueUnderTest]:
    """The queue on SQS."""
    queue = SqsQueue(aws.queue_settings(visibility_timeout=VISIBILITY_S))

    async def send(message: Message) -> None:
        assert await queue.send([message]) == [True]

    async def dead_letters() -> list[tuple[str, str]]:
        client = local_aws.client("sqs")
        answer = client.receive_message(QueueUrl=aws.dlq_url, MessageAttributeNames=["All"], MaxNumberOfMessages=10)
        return [(message["Body"], _reason(message)) for message in answer["Messages"]]

    letters = SqsDeadLetters(aws.queue_settings(), wait_s=0)
    yield QueueUnderTest(queue, send, dead_letters, letters)
    await letters.close()
    await queue.close()


@pytest.fixture
async def memory() -> QueueUnderTest:
    """The queue in memory that other tests use."""
    queue = MemoryQueue(VISIBILITY_S, max_receives=5)

    async def send(message: Message) -> None:
        queue.send(message)

    async def dead_letters() -> list[tuple[str, str]]:
        return [(message.body, reason) for message, reason in queue.dead]

    return QueueUnderTest(queue, send, dead_letters)


def _reason(message: Any) -> str:
    """SQS's own redrive gives none."""
    reason = message.get("MessageAttributes", {}).get("deadLetterReason", {"StringValue": "received_too_often"})
    return str(reason["StringValue"])


@pytest.fixture(params=["outbox", "sqs", "memory"])
def under_test(request: pytest.FixtureRequest) -> QueueUnderTest:
    """Each adapter in turn."""
    queue: QueueUnderTest = request.getfixturevalue(request.param)
    return queue


@pytest.fixture(params=["outbox", "memory"])
def exclusive(request: pytest.FixtureRequest) -> QueueUnderTest:
    """Each adapter that never hands out a message twice at once; standard SQS queues promise no such thing."""
    queue: QueueUnderTest = request.getfixturevalue(request.param)
    return queue


@pytest.fixture(params=["outbox", "sqs"])
def with_letters(request: pytest.FixtureRequest) -> QueueUnderTest:
    """Each adapter that operators use."""
    queue: QueueUnderTest = request.getfixturevalue(request.param)
    return queue
