"""Notices to people: mail by SES, operational alerts by SNS; where these are not set up, a line in the log."""

from __future__ import annotations

import logging

from onevoice_kit.errors import PreconditionFailed
from onevoice_kit.notify.base import LogNotifier, Note, Notifier
from onevoice_kit.settings import NotifySettings

__all__ = ["Note", "Notifier", "open_alerts", "open_mail"]


def open_mail(settings: NotifySettings) -> Notifier:
    """Mail by the settings. Raises `PreconditionFailed` (reason `ses_sender_missing`)."""
    if not settings.ses_enabled:
        return LogNotifier("mail", "SES_ENABLED is false", logging.INFO)
    if not settings.ses_sender:
        raise PreconditionFailed("SES_SENDER is not set.", reason="ses_sender_missing")
    from onevoice_kit.notify.aws import SesMail

    return SesMail(settings)


def open_alerts(settings: NotifySettings) -> Notifier:
    """Alerts by the settings."""
    if not settings.sns_alerts_topic_arn:
        return LogNotifier("alert", "SNS_ALERTS_TOPIC_ARN is not set")
    from onevoice_kit.notify.aws import SnsAlerts

    return SnsAlerts(settings)
