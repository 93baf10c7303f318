"""SQS beyond the contract: it groups by user, and gives up on a message after so many receives."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from onevoice_kit.errors import Unavailable
from onevoice_kit.queue.base import Message
from onevoice_kit.queue.sqs import SqsQueue
from onevoice_local.aws import Aws, AwsServer, dead_letter_attributes


@pytest.fixture
async def queue(aws: Aws) -> AsyncIterator[SqsQueue]:
    """The queue on an empty SQS queue."""
    queue = SqsQueue(aws.queue_settings())
    yield queue
    await queue.close()


def _received(local_aws: AwsServer, queue_url: str) -> list[dict[str, object]]:
    answer = local_aws.client("sqs").receive_message(
        QueueUrl=queue_url, AttributeNames=["All"], MessageAttributeNames=["All"], MaxNumberOfMessages=10
    )
    return list(answer.get("Messages", ()))


async def test_the_user_is_the_fair_queues_group_and_only_where_there_is_one(
    queue: SqsQueue, aws: Aws, local_aws: AwsServer
):
    assert await queue.send([Message("with", group_id="user-1"), Message("without")]) == [True, True]
    groups = {
        message["Body"]: message["Attributes"].get("MessageGroupId")  # type: ignore[attr-defined]
        for message in _received(local_aws, aws.queue_url)
    }
    assert groups == {"with": "user-1", "without": None}


async def test_an_empty_attribute_is_left_out(queue: SqsQueue):
    await queue.send([Message("x", {"traceparent": "", "kind": "test"})])
    (delivery,) = await queue.receive(wait_s=5)
    assert dict(delivery.attributes) == {"kind": "test"}


async def test_messages_that_cannot_be_sent_are_kept_apart_from_those_that_can(queue: SqsQueue):
    too_large = Message("x" * ((1 << 20) + 1))
    with_it = await queue.send([Message("small")])
    assert with_it == [True]
    with pytest.raises(Exception, match="queue"):
        await queue.send([too_large])


async def test_a_message_received_too_often_goes_to_the_dead_letter_queue(local_aws: AwsServer):
    aws = local_aws.create(max_receives=2)
    queue = SqsQueue(aws.queue_settings())
    await queue.send([Message("poison")])
    for _ in range(2):
        (delivery,) = await queue.receive(wait_s=5)
        await queue.release(delivery)
    assert await queue.receive(wait_s=0) == []
    assert [message["Body"] for message in _received(local_aws, aws.dlq_url)] == ["poison"]
    await queue.close()


def test_only_its_own_queue_may_use_a_dead_letter_queue(aws: Aws, local_aws: AwsServer):
    client = local_aws.client("sqs")

    def attributes(url: str) -> dict[str, str]:
        found: dict[str, str] = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return found

    arn, letters = attributes(aws.queue_url)["QueueArn"], attributes(aws.dlq_url)
    redrive = json.loads(attributes(aws.queue_url)["RedrivePolicy"])
    assert (redrive["deadLetterTargetArn"], int(redrive["maxReceiveCount"])) == (letters["QueueArn"], 5)
    # The stand-in takes the allow policy and does not give it back, so this looks at what it is given.
    asked = dead_letter_attributes(arn)
    assert json.loads(asked["RedriveAllowPolicy"]) == {"redrivePermission": "byQueue", "sourceQueueArns": [arn]}
    assert letters["MessageRetentionPeriod"] == asked["MessageRetentionPeriod"] == "1209600"


async def test_a_queue_that_does_not_answer_is_unavailable(aws: Aws):
    settings = aws.queue_settings().model_copy(update={"aws_endpoint_url": "http://127.0.0.1:1"})
    queue = SqsQueue(settings)
    with pytest.raises(Unavailable) as caught:
        await queue.send([Message("x")])
    assert caught.value.reason == "queue_unavailable"
    await queue.close()
