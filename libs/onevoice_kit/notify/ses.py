"""Mail by Amazon SES."""

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
