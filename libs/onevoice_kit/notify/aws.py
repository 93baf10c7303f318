"""Notices by AWS: mail by SES, alerts by SNS."""

from __future__ import annotations

import hashlib
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any

from onevoice_kit.aws import AwsClient, aws_errors
from onevoice_kit.errors import InvalidInput
from onevoice_kit.notify.base import Note, one_line
from onevoice_kit.settings import NotifySettings

KEY_HEADER = "X-OneVoice-Notification"
KEY_ATTRIBUTE = "notification"
_MAX_SUBJECT = 99


class SesMail:
    """
    The port (see `base.Notifier`) on SES.

    Mail is sent as a raw message, because only that takes headers of one's own: `X-OneVoice-Notification` carries the
    key, and `Message-ID` is made of it (SES replaces that one by its own where it delivers outside).
    """

    def __init__(self, settings: NotifySettings) -> None:
        self._sender = settings.ses_sender
        self._client: AwsClient[Any] = AwsClient("ses", settings)

    async def send(self, note: Note) -> None:
        """Sends the mail to its recipient."""
        message = mail(self._sender, note)
        client = await self._client.get()
        with aws_errors("mail"):
            await client.send_raw_email(
                Source=self._sender, Destinations=[note.recipient], RawMessage={"Data": message.as_bytes()}
            )

    async def close(self) -> None:
        """Gives connections back."""
        await self._client.close()


def mail(sender: str, note: Note) -> EmailMessage:
    """The message with its headers. Raises `InvalidInput` (reason `invalid_recipient`)."""
    message = EmailMessage()
    try:
        message["To"] = Address(addr_spec=note.recipient)
    except (MessageError, ValueError, IndexError) as error:
        raise InvalidInput("This is no mail address.", reason="invalid_recipient") from error
    message["From"] = sender
    message["Subject"] = one_line(note.subject)
    message["Message-ID"] = f"<{hashlib.sha256(note.key.encode()).hexdigest()[:32]}@onevoice>"
    message[KEY_HEADER] = one_line(note.key)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(note.text)
    return message


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
