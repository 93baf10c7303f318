"""The port for notices to people, delivered at least once, and its stand-in that writes to the log."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Protocol

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Note:
    """A notice."""

    key: str
    """The same for every repeat of one notice; travels with the message, so that a receiver can drop doubles."""
    subject: str
    """One line."""
    text: str
    recipient: str = ""
    """Mail address; empty where the channel has its own receivers."""


class Notifier(Protocol):
    """One channel."""

    async def send(self, note: Note) -> None:
        """
        Hands the note over. Raises `Unavailable` where another attempt may succeed, `InvalidInput` (reason
        `invalid_recipient`) where none ever will, and `Internal` where the channel refuses it.
        """
        ...

    async def close(self) -> None:
        """Gives connections back."""
        ...


class LogNotifier:
    """A line in the log per note, where the channel is not set up. The recipient's address stays out of it."""

    def __init__(self, channel: str, why: str, level: int = logging.WARNING) -> None:
        """`channel` and `why` go into the line: what was not sent, and the setting that is missing."""
        self._channel = channel
        self._why = why
        self._level = level

    async def send(self, note: Note) -> None:
        """Writes the line."""
        facts = {"channel": self._channel, "key": note.key, "subject": note.subject}
        _log.log(self._level, "%s not sent, because %s: %s", self._channel, self._why, note.subject, extra=facts)

    async def close(self) -> None:
        """There is nothing to give back."""


def one_line(text: str) -> str:
    """The text without line breaks and other control characters, which could end a header."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
