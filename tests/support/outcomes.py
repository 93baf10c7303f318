"""The conditions on every job that has ended."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

from sqlalchemy import text

from onevoice_jobs import queries
from onevoice_jobs.keys import job_prefix
from onevoice_jobs.states import JobStatus, LanguageStatus
from onevoice_kit.db import transaction
from tests.support.rig import FREE_CREDITS, LINES, PRICE, RESERVED, Rig

_TABLES = {
    "jobs": "id",
    "language_tasks": "job_id",
    "steps": "job_id",
    "segments": "job_id",
    "translations": "job_id",
    "artifacts": "job_id",
    "job_events": "job_id",
}
_TERMINAL = {"job.completed", "job.failed", "job.cancelled"}
_LANGUAGES = ("ca", "es")
_ARTIFACTS: Counter[tuple[str, str | None]] = Counter(
    [
        *((kind, None) for kind in ("thumbnail", "report", "manifest")),
        *((kind, language) for kind in ("captions_srt", "captions_vtt") for language in ("en", *_LANGUAGES)),
        *(("video", language) for language in _LANGUAGES),
    ]
)


async def rows_of(rig: Rig, job_id: UUID) -> dict[str, list[Any]]:
    """Every row of a job, by table: equal to what it was where nothing was written."""
    async with transaction(rig.engine) as connection:
        return {
            table: sorted(
                map(
                    repr,
                    await connection.execute(text(f"SELECT * FROM jobs.{table} WHERE {key} = :id"), {"id": job_id}),
                )
            )
            for table, key in _TABLES.items()
        }


async def ledger_of(rig: Rig, job_id: UUID) -> list[tuple[str, int]]:
    """The entries of the job's credits, in order."""
    statement = text("SELECT kind, credits FROM billing.entries WHERE reservation_id = :id ORDER BY number")
    async with transaction(rig.engine) as connection:
        return [(kind, amount) for kind, amount in await connection.execute(statement, {"id": str(job_id)})]


async def assert_completed_once(rig: Rig, job_id: UUID, jobs: int = 1, *, besides: tuple[str, ...] = ()) -> None:
    """
    The job is as if nothing had happened: one set of results, one charge, one end, every event once, and `besides`.
    """
    async with transaction(rig.engine) as connection:
        view = await queries.get_job(connection, rig.user_id, job_id)
        artifacts = await queries.list_artifacts(connection, rig.user_id, job_id)
        segments = await queries.list_segments(connection, rig.user_id, job_id)
        lines = [await queries.list_translations(connection, rig.user_id, job_id, lang) for lang in _LANGUAGES]
    assert (view.job.status, view.job.error, view.job.progress) == (JobStatus.COMPLETED, None, 100)
    assert {language.status for language in view.languages} == {LanguageStatus.COMPLETED}
    assert view.job.spent_credits == PRICE
    assert Counter((artifact.kind, artifact.language) for artifact in artifacts) == _ARTIFACTS
    for artifact in artifacts:
        assert await rig.storage.head(rig.storage.key(artifact.ref.uri)) == artifact.ref
    assert [segment.index for segment in segments] == list(range(LINES))
    assert [[line.index for line in each] for each in lines] == [list(range(LINES))] * len(_LANGUAGES)
    await _assert_published_once(rig, job_id, besides)
    assert await ledger_of(rig, job_id) == [("reserve", RESERVED), ("settle", PRICE), ("release", RESERVED - PRICE)]
    account = await rig.ledger.account(str(rig.user_id))
    assert (account.available, account.reserved) == (FREE_CREDITS - jobs * PRICE, 0)


async def _assert_published_once(rig: Rig, job_id: UUID, besides: tuple[str, ...]) -> None:
    events = await rig.events(job_id)
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    told = Counter(event.type for event in events)
    # They report how it went, not what has happened.
    del told["job.progress"], told["step.retried"], told["job.waiting"]
    assert told == {
        "job.created": 1,
        "job.started": 1,
        "segment.recognised": LINES,
        "line.ready": LINES * len(_LANGUAGES),
        "language.completed": len(_LANGUAGES),
        "job.completed": 1,
        **dict.fromkeys(besides, 1),
    }
    assert events[-1].type == "job.completed"


async def assert_given_back_once(rig: Rig, job_id: UUID, status: JobStatus) -> None:
    """The job has ended without result: said once, at the end, and its credits are back."""
    async with transaction(rig.engine) as connection:
        view = await queries.get_job(connection, rig.user_id, job_id)
    assert view.job.status is status
    events = await rig.events(job_id)
    assert [event.type for event in events if event.type in _TERMINAL] == [f"job.{status}"]
    assert events[-1].type == f"job.{status}"
    assert await ledger_of(rig, job_id) == [("reserve", RESERVED), ("release", RESERVED)]
    assert [key async for key in rig.storage.list(f"{job_prefix(rig.user_id, job_id)}/artifacts")] == []
