"""Mail and alerts: once for each outcome of a job, whatever happens to the sender."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from sqlalchemy import func, select, update

from onevoice_jobs import control
from onevoice_jobs.models import notifications, outbox
from onevoice_jobs.notifications import NotificationKind, PostgresAlerts, take_due
from onevoice_kit.db import transaction
from onevoice_kit.errors import InvalidInput, OneVoiceError, Unavailable
from onevoice_kit.notify import Note
from onevoice_kit.queue.base import Message
from onevoice_kit.queue.outbox import enqueue
from onevoice_kit.testing.waiting import eventually
from services.orchestrator.notifications import BATCH, NotificationSender
from tests.support.instant_stages import Script, fails


@dataclass
class Channel:
    """Keeps the notes sent; raises `failures` first."""

    notes: list[Note] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    async def send(self, note: Note) -> None:
        if self.failures:
            raise self.failures.pop()
        self.notes.append(note)

    async def close(self) -> None:
        self.notes.clear()


@pytest.fixture
def mail() -> Channel:
    return Channel()


@pytest.fixture
def alerts() -> Channel:
    return Channel()


@pytest.fixture
def sender(deployment, mail: Channel, alerts: Channel) -> NotificationSender:
    return NotificationSender(deployment.engine, mail, alerts, poll_s=0.01)


async def _make_due(deployment) -> None:
    async with transaction(deployment.engine) as connection:
        await connection.execute(update(notifications).values(available_at=func.now()))


async def _run(deployment, **changes) -> str:
    job_id = await deployment.submit(notify_email="ada@example.com", **changes)
    async with deployment.worker():
        await deployment.ended(job_id)
    return str(job_id)


async def test_the_owner_of_a_finished_job_gets_one_mail_and_no_alert_is_sent(deployment, sender, mail, alerts) -> None:
    job_id = await _run(deployment)
    await asyncio.gather(*(sender.send_due() for _ in range(3)))
    (note,) = mail.notes
    assert (note.key, note.recipient) == (f"mail:{job_id}:completed", "ada@example.com")
    assert note.subject == "“My talk.mp4” is dubbed"
    assert "es, ca" in note.text
    assert job_id in note.text
    assert alerts.notes == []
    assert await sender.send_due() == 0


async def test_a_failed_job_is_reported_to_its_owner_and_to_the_operators(
    deployment, sender, mail, alerts, script: Script
) -> None:
    script.faults["Translate"] = fails(InvalidInput("No engine speaks it.", reason="unsupported_language_pair"))
    job_id = await _run(deployment)
    await sender.send_due()
    (note,), (alert,) = mail.notes, alerts.notes
    assert note.key == f"mail:{job_id}:failed"
    assert "No engine speaks it." in note.text
    assert (alert.key, alert.subject) == (f"alert:{job_id}:failed", "Job failed: unsupported_language_pair")
    assert f"job_id: {job_id}" in alert.text
    assert "ada@example.com" not in alert.text


async def test_a_job_resumed_and_failed_again_is_reported_again(
    deployment, sender, mail, alerts, script: Script
) -> None:
    script.faults["Mix"] = fails(InvalidInput("No mix.", reason="mix_impossible"))
    job_id = await deployment.submit(notify_email="ada@example.com")
    async with deployment.worker():
        await deployment.ended(job_id)
        async with transaction(deployment.engine) as connection:
            await control.resume_job(connection, deployment.user_id, job_id, reservation_id="second")
        await deployment.ended(job_id)
    await sender.send_due()
    assert [note.key for note in mail.notes] == [f"mail:{job_id}:failed", f"mail:{job_id}:failed:1"]
    assert len(alerts.notes) == 2


async def test_a_cancelled_job_sends_no_notification(deployment, sender) -> None:
    job_id = await deployment.submit(notify_email="ada@example.com")
    async with transaction(deployment.engine) as connection:
        await control.request_cancel(connection, deployment.user_id, job_id)
    async with deployment.worker():
        await deployment.ended(job_id)
    assert await sender.send_due() == 0


async def test_a_job_without_an_address_sends_no_mail(deployment, sender, mail) -> None:
    job_id = await deployment.submit()
    async with deployment.worker():
        await deployment.ended(job_id)
    assert await sender.send_due() == 0
    assert mail.notes == []


async def test_a_poison_message_alerts_the_operators_once(deployment, sender, alerts) -> None:
    async with transaction(deployment.engine) as connection:
        await enqueue(connection, outbox, Message("not JSON"))

    async def buried() -> bool:
        async with transaction(deployment.engine) as connection:
            dead = select(func.count()).where(outbox.c.dead_at.is_not(None))
            return bool((await connection.execute(dead)).scalar_one())

    async with deployment.worker(alerts=PostgresAlerts(deployment.engine)):
        await eventually(buried)
    await sender.send_due()
    assert [alert.subject for alert in alerts.notes] == ["Message dead-lettered: unreadable_message"]


async def test_an_alert_is_raised_once_per_key(deployment, sender, alerts) -> None:
    for _ in range(3):
        await PostgresAlerts(deployment.engine).raise_alert("alert:x", {"event": "dead_letter", "reason": "r"})
    await sender.send_due()
    assert [alert.key for alert in alerts.notes] == ["alert:x"]


@pytest.mark.parametrize("failure", [Unavailable(reason="mail_unavailable"), RuntimeError("unforeseen")])
async def test_what_cannot_be_sent_now_is_sent_later_and_holds_up_no_other(
    deployment, sender, mail, alerts, failure: Exception, script: Script
) -> None:
    script.faults["Translate"] = fails(InvalidInput("No.", reason="unsupported_language_pair"))
    await _run(deployment)
    mail.failures.append(failure)
    await sender.send_due()
    assert (len(mail.notes), len(alerts.notes)) == (0, 1)
    assert await sender.send_due() == 0
    await _make_due(deployment)
    await sender.send_due()
    assert (len(mail.notes), len(alerts.notes)) == (1, 1)


async def test_what_can_never_be_sent_is_given_up(deployment, sender, mail) -> None:
    await _run(deployment)
    failure: OneVoiceError = InvalidInput("No address.", reason="invalid_recipient")
    mail.failures.append(failure)
    await sender.send_due()
    await _make_due(deployment)
    assert await sender.send_due() == 0
    async with transaction(deployment.engine) as connection:
        row = (await connection.execute(select(notifications.c.error, notifications.c.dropped_at))).one()
    assert row.error == "invalid_recipient"
    assert row.dropped_at is not None


async def test_a_sender_that_dies_before_marking_sends_again_under_the_same_key(deployment, sender, mail) -> None:
    await _run(deployment)
    (taken,) = await take_due(deployment.engine)
    assert taken.kind is NotificationKind.MAIL
    assert await sender.send_due() == 0  # held by the sender that took it, for a while
    await _make_due(deployment)
    await sender.send_due()
    assert [note.key for note in mail.notes] == [taken.key]


async def test_a_running_sender_sends_what_comes(deployment, sender, alerts) -> None:
    running = asyncio.create_task(sender.run())
    raised = PostgresAlerts(deployment.engine)
    for number in range(BATCH + 2):
        await raised.raise_alert(f"alert:{number}", {"event": "dead_letter", "reason": "r"})
    await eventually(lambda: len(alerts.notes) == BATCH + 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len({alert.key for alert in alerts.notes}) == BATCH + 2
