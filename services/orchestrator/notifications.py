"""Notifications: their words, and the sending; mail to the owners of ended jobs, alerts to the operators."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs import notifications
from onevoice_jobs.notifications import Notification, NotificationKind
from onevoice_kit.errors import InvalidInput, OneVoiceError
from onevoice_kit.notify import Note, Notifier

_log = logging.getLogger(__name__)

BATCH = 10
MAX_ATTEMPTS = 16
"""With pauses that double up to an hour: about six hours."""

_SIGNATURE = "\n\nOneVoice\n"


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
        """Sends one batch, all of it at the same time; returns how many notifications were due."""
        due = await notifications.take_due(self._engine, limit=BATCH)
        sent = await asyncio.gather(*map(self._send, due))
        if any(sent):
            keys = [notification.key for notification, done in zip(due, sent, strict=True) if done]
            await notifications.mark_sent(self._engine, keys)
        return len(due)

    async def _send(self, notification: Notification) -> bool:
        """Returns whether it was sent."""
        try:
            await self._channels[notification.kind].send(note_of(notification))
        except Exception as error:  # noqa: BLE001 - one note's trouble must not hold up the others
            await self._not_sent(notification, error)
            return False
        return True

    async def _not_sent(self, notification: Notification, error: Exception) -> None:
        hopeless = isinstance(error, InvalidInput)
        given_up = hopeless or notification.attempts >= MAX_ATTEMPTS
        reason = error.reason if isinstance(error, OneVoiceError) else "internal"
        facts = {"key": notification.key, "reason": reason, "given_up": given_up}
        _log.log(logging.ERROR if given_up else logging.WARNING, "A notification was not sent: %s", error, extra=facts)
        limit = notification.attempts if hopeless else MAX_ATTEMPTS
        await notifications.mark_failed(self._engine, notification.key, reason, max_attempts=limit)


def note_of(notification: Notification) -> Note:
    """Words a notification."""
    data = notification.data
    if notification.kind is NotificationKind.ALERT:
        subject, text = _alert(data)
    else:
        subject, text = _completed(data) if data["event"] == "job_completed" else _failed(data)
    return Note(notification.key, subject, text, notification.recipient)


def _completed(data: Mapping[str, Any]) -> tuple[str, str]:
    languages = ", ".join(data["languages"])
    text = f"“{data['filename']}” has been dubbed ({languages}). The results are ready to download.\n\n{_job(data)}"
    return f"“{data['filename']}” is dubbed", text + _SIGNATURE


def _failed(data: Mapping[str, Any]) -> tuple[str, str]:
    error = data.get("error") or {}
    text = (
        f"“{data['filename']}” could not be dubbed: {error.get('message', 'something went wrong inside.')}\n\n"
        f"What was reserved for it and not used is back on your account. You can resume the job; what it had done "
        f"already is kept.\n\nReason: {error.get('reason', 'internal')}\n{_job(data)}"
    )
    return f"“{data['filename']}” could not be dubbed", text + _SIGNATURE


def _alert(data: Mapping[str, Any]) -> tuple[str, str]:
    error = data.get("error") or {}
    reason = error.get("reason") or data.get("reason", "unknown")
    what = "Job failed" if data["event"] == "job_failed" else "Message dead-lettered"
    facts = {key: value for key, value in data.items() if key not in ("event", "error", "filename") and value}
    lines = [
        f"{what}: {reason}",
        error.get("message", ""),
        *(f"{key}: {_plain(value)}" for key, value in facts.items()),
    ]
    return f"{what}: {reason}", "\n".join(line for line in lines if line) + "\n"


def _job(data: Mapping[str, Any]) -> str:
    return f"Job: {data['job_id']}"


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
