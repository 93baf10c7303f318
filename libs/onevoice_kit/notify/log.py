"""Stands in for a channel that is not set up: says so in the log, once per note."""

from __future__ import annotations

import logging

from onevoice_kit.notify.base import Note

_log = logging.getLogger(__name__)


class LogNotifier:
    """The port (see `base.Notifier`) where nobody can be told. The recipient's address stays out of the log."""

    def __init__(self, channel: str, why: str, level: int = logging.WARNING) -> None:
        """`channel` and `why` go into the line: what was not sent, and which setting is to blame."""
        self._channel = channel
        self._why = why
        self._level = level

    async def send(self, note: Note) -> None:
        """Writes the line."""
        facts = {"channel": self._channel, "key": note.key, "subject": note.subject}
        _log.log(self._level, "%s not sent, because %s: %s", self._channel, self._why, note.subject, extra=facts)

    async def close(self) -> None:
        """There is nothing to give back."""
