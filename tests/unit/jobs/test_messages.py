"""The job message survives the queue, and what is no job message is recognised as poison."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from onevoice_jobs.messages import DubbingJobMessage, PoisonMessage
from onevoice_kit.queue.base import Delivery

MESSAGE = DubbingJobMessage(UUID(int=1), UUID(int=2), UUID(int=3), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def delivery(body: str) -> Delivery:
    return Delivery("1", body, {}, 1, "handle")


def test_a_message_is_read_as_it_was_sent():
    sent = MESSAGE.to_message()
    assert DubbingJobMessage.from_delivery(delivery(sent.body)) == MESSAGE


def test_a_message_has_the_agreed_shape_and_its_user_as_group():
    sent = MESSAGE.to_message(traceparent="00-a-b-01", attempt=2)
    assert json.loads(sent.body) == {
        "messageType": "DUBBING_JOB",
        "jobId": str(UUID(int=1)),
        "userId": str(UUID(int=2)),
        "videoId": str(UUID(int=3)),
        "requestedAt": "2026-01-02T03:04:05+00:00",
    }
    assert sent.attributes == {
        "messageType": "DUBBING_JOB",
        "attempt": "2",
        "jobId": str(UUID(int=1)),
        "traceparent": "00-a-b-01",
    }
    assert sent.group_id == str(UUID(int=2))


def test_without_a_trace_there_is_no_trace_attribute():
    assert "traceparent" not in MESSAGE.to_message().attributes


def changed(**changes: object) -> str:
    return json.dumps({**json.loads(MESSAGE.to_message().body), **changes})


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[]",
        "null",
        "7",
        "{}",
        changed(messageType="OTHER"),
        changed(jobId="not a uuid"),
        changed(jobId=7),
        changed(userId=None),
        changed(requestedAt="yesterday"),
        changed(requestedAt=7),
    ],
)
def test_what_is_no_job_message_is_poison(body):
    with pytest.raises(PoisonMessage) as error:
        DubbingJobMessage.from_delivery(delivery(body))
    expected = "unknown_message_type" if "OTHER" in body else "unreadable_message"
    assert error.value.reason == expected
