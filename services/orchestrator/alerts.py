"""Sends notifications: mail to the owners of jobs that have ended, alerts to the operators of the deployment."""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs import notifications
from onevoice_jobs.notifications import Notification, NotificationKind
from onevoice_kit.errors import InvalidInput, OneVoiceError
from onevoice_kit.notify import Notifier

from .notices import note_of

_log = logging.getLogger(__name__)

BATCH = 10
MAX_ATTEMPTS = 16
"""With pauses that double up to an hour: about six hours."""


class NotificationSender:
    """
    Sends what is due. Any number may run at once. At least once: who dies between sending and marking, or cannot mark,
    sends the same note again, under the same key.
    """

    def __init__(self, engine: AsyncEngine, mail: Notifier, alerts: Notifier, *, poll_s: float) -> None:
        """`poll_s`: time between two looks for due notifications."""
        self._engine = engine
        self._channels = {NotificationKind.MAIL: mail, NotificationKind.ALERT: alerts}
        self._poll_s = poll_s

    async def run(self) -> None:
        """Sends until cancelled."""
        while True:
            try:
                sent = await self.send_due()
            except Exception:  # noqa: BLE001 - the next look tries again
                _log.exception("Notifications cannot be sent now")
                sent = 0
            if sent < BATCH:
                await asyncio.sleep(self._poll_s)

    async def send_due(self) -> int:
        """Sends one batch; returns how many notifications were due."""
        due = await notifications.take_due(self._engine, limit=BATCH)
        for notification in due:
            await self._send(notification)
        return len(due)

    async def _send(self, notification: Notification) -> None:
        try:
            await self._channels[notification.kind].send(note_of(notification))
        except Exception as error:  # noqa: BLE001 - one note's trouble must not hold up the others
            await self._not_sent(notification, error)
        else:
            await notifications.mark_sent(self._engine, notification.key)

    async def _not_sent(self, notification: Notification, error: Exception) -> None:
        hopeless = isinstance(error, InvalidInput)
        given_up = hopeless or notification.attempts >= MAX_ATTEMPTS
        reason = error.reason if isinstance(error, OneVoiceError) else "internal"
        facts = {"key": notification.key, "reason": reason, "given_up": given_up}
        _log.log(logging.ERROR if given_up else logging.WARNING, "A notification was not sent: %s", error, extra=facts)
        limit = notification.attempts if hopeless else MAX_ATTEMPTS
        await notifications.mark_failed(self._engine, notification.key, reason, max_attempts=limit)
