"""Messages left in SQS; the outbox is counted with the rest of the database."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from onevoice_local.aws import AwsServer

_COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


class SqsMessages:
    """Counts messages in the queue and the dead-letter queue that the settings of the processes name."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """`environment` names no queue where jobs do not come by SQS: then nothing is ever left."""
        self._environment = environment

    async def left(self) -> int:
        """Messages that wait or are worked on."""
        return await self._count("SQS_QUEUE_URL")

    async def dead(self) -> int:
        """Dead letters."""
        return await self._count("SQS_DLQ_URL")

    async def _count(self, queue: str) -> int:
        if queue not in self._environment:
            return 0
        return await asyncio.to_thread(_messages, self._environment["AWS_ENDPOINT_URL"], self._environment[queue])


def _messages(endpoint_url: str, queue_url: str) -> int:
    client = AwsServer(endpoint_url).client("sqs")
    answer = client.get_queue_attributes(QueueUrl=queue_url, AttributeNames=list(_COUNTS))["Attributes"]
    return sum(int(answer[name]) for name in _COUNTS)
