"""Alerts by Amazon SNS."""

from __future__ import annotations

import hashlib
from typing import Any

from onevoice_kit.aws import AwsClient, aws_errors
from onevoice_kit.notify.base import Note, one_line
from onevoice_kit.settings import NotifySettings

KEY_ATTRIBUTE = "notification"
_MAX_SUBJECT = 99


class SnsAlerts:
    """
    The port (see `base.Notifier`) on an SNS topic. The key travels as the attribute `notification`; on a FIFO topic it
    is the deduplication id as well, so that SNS itself drops doubles for five minutes.
    """

    def __init__(self, settings: NotifySettings) -> None:
        self._topic = settings.sns_alerts_topic_arn
        self._client: AwsClient[Any] = AwsClient("sns", settings)

    async def send(self, note: Note) -> None:
        """Publishes the alert."""
        extra = {}
        if self._topic.endswith(".fifo"):
            digest = hashlib.sha256(note.key.encode()).hexdigest()
            extra = {"MessageDeduplicationId": digest, "MessageGroupId": "alerts"}
        client = await self._client.get()
        with aws_errors("alerts"):
            await client.publish(
                TopicArn=self._topic,
                Subject=subject(note.subject),
                Message=note.text,
                MessageAttributes={KEY_ATTRIBUTE: {"DataType": "String", "StringValue": note.key}},
                **extra,
            )

    async def close(self) -> None:
        """Gives connections back."""
        await self._client.close()


def subject(text: str) -> str:
    """As SNS takes it: one line of ASCII, shorter than 100 characters, not empty."""
    return one_line(text).encode("ascii", "replace").decode()[:_MAX_SUBJECT] or "OneVoice"
