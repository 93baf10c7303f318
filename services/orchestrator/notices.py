"""The words of each notification to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onevoice_jobs.notifications import Notification, NotificationKind
from onevoice_kit.notify import Note

_SIGNATURE = "\n\nOneVoice\n"


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
