"""The traces of a job, in a form by which two runs of the same job can be compared."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from onevoice_jobs import queries
from onevoice_jobs.keys import job_prefix
from onevoice_jobs.records import EventRecord
from onevoice_kit.db import transaction
from tests.integration.crash.conftest import FREE_CREDITS, JOB, USER, World

_AS_OFTEN_AS_NEEDED = {"job.progress", "step.retried", "job.waiting"}
"""Events that depend on the course of the run; all others record a result, once."""


@dataclass(frozen=True)
class Outcome:
    """Everything a job leaves, times apart."""

    status: str
    error: str | None
    spent_credits: int | None
    metrics: Any
    languages: Any
    artifacts: Any
    """Kind, language, file name, object."""
    objects: dict[str, str]
    """Checksum by key, of everything that is stored."""
    segments: Any
    translations: Any
    events: Counter[str]
    last_event: str
    ledger: list[tuple[str, int, str, str]]
    balance: tuple[int, int]
    dead_letters: int
    notified: list[tuple[str, str, str]]
    """Key, kind and recipient of each mail and alert."""


async def outcome(world: World) -> Outcome:
    """The present outcome; checks on the way the invariants of every job, whatever its course."""
    async with transaction(world.engine) as connection:
        view = await queries.get_job(connection, USER, JOB)
        artifacts = await queries.list_artifacts(connection, USER, JOB)
        segments = await queries.list_segments(connection, USER, JOB)
        translations = [await queries.list_translations(connection, USER, JOB, lang) for lang in ("es", "ca")]
        events = await queries.events_after(connection, USER, JOB)
        dead = (
            await connection.execute(text("SELECT count(*) FROM jobs.outbox WHERE dead_at IS NOT NULL"))
        ).scalar_one()
        rows = await connection.execute(text("SELECT key, kind, recipient FROM jobs.notifications ORDER BY key"))
        notified = [(row.key, row.kind, row.recipient) for row in rows]
    _check_numbers(events)
    _check_progress(events)
    _check_sent(world, [kind for _, kind, _ in notified])
    account = await world.ledger.account(str(USER))
    entries = (await world.ledger.entries(str(USER))).entries
    assert account.available + account.reserved + sum(e.credits for e in entries if e.kind == "settle") == FREE_CREDITS
    objects = await _objects(world)
    for artifact in artifacts:
        assert objects[world.storage.key(artifact.ref.uri)] == artifact.ref.sha256
    return Outcome(
        status=view.job.status,
        error=view.job.error.reason if view.job.error else None,
        spent_credits=view.job.spent_credits,
        metrics=view.job.metrics,
        languages=[(lang.language, lang.status, lang.progress, lang.error, lang.metrics) for lang in view.languages],
        artifacts=[(item.kind, item.language, item.filename, item.ref) for item in artifacts],
        objects=objects,
        segments=segments,
        translations=translations,
        events=Counter(_text(event) for event in events if event.type not in _AS_OFTEN_AS_NEEDED),
        last_event=events[-1].type,
        ledger=[(entry.kind, entry.credits, entry.debit_account, entry.credit_account) for entry in entries],
        balance=(account.available, account.reserved),
        dead_letters=dead,
        notified=notified,
    )


def _text(event: EventRecord) -> str:
    return f"{event.type} {json.dumps(event.data, sort_keys=True)}"


def _check_numbers(events: list[EventRecord]) -> None:
    assert [event.id for event in events] == list(range(1, len(events) + 1))


def _check_progress(events: list[EventRecord]) -> None:
    """No watcher sees a bar go back."""
    shown: dict[str | None, int] = {}
    for event in events:
        if event.type == "job.progress":
            who, percent = event.data.get("language"), event.data["percent"]
            assert percent >= shown.get(who, 0), [e.data for e in events if e.type == "job.progress"]
            shown[who] = percent


def _check_sent(world: World, kinds: list[str]) -> None:
    """Notifications are sent; twice, by the same key, only where a process died before it could mark the first."""
    for kind, channel in (("mail", "mail"), ("alert", "alerts")):
        sent = [process.passed.count(f"{channel}.send:after") for process in world.processes]
        assert kinds.count(kind) <= sum(sent) <= kinds.count(kind) + sum(sent[:-1])


async def _objects(world: World) -> dict[str, str]:
    found = {}
    async for key in world.storage.list(job_prefix(USER, JOB)):
        ref = await world.storage.head(key)
        assert ref is not None
        found[key] = ref.sha256
    return found
