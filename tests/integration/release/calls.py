"""
Calls into the last release's code; runs in a process of its own, with only that code on its path.

It is written for the release that `release.txt` names, so it changes with it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

import onevoice_jobs
from onevoice_jobs import control, leases, queries
from onevoice_jobs.migrations import migrations_path as migrations_of_jobs
from onevoice_jobs.models import SCHEMA as JOBS
from onevoice_jobs.records import Artifact, CompletedLanguage, Event, Segment, Shown, StepResult, Translation, Word
from onevoice_jobs.service import PostgresJobs
from onevoice_jobs.submit import NewJob, insert_job
from onevoice_kit.db import create_engine, migrate, transaction
from onevoice_kit.settings import DatabaseSettings
from onevoice_kit.storage.base import ObjectRef
from services import billing
from services.billing.ledger import Ledger
from services.billing.migrations import migrations_path as migrations_of_billing
from services.billing.models import SCHEMA as BILLING

REF = ObjectRef("file:///users/u/jobs/j/a.flac", "b" * 64, 99, "audio/flac")
RESULTS = Shown(
    events=(Event("line.ready", {"language": "es"}),),
    segments=(Segment(0, 0, 100, 900, "speaker_1", "hello", (Word("hello", 100, 900),)),),
    translations=(Translation("es", 0, "hola", REF, 700, 100, 800, 1.0, 0),),
    artifacts=(Artifact("video", "es", "talk.es.mp4", REF),),
    completed=(CompletedLanguage("es", {}),),
)


async def migrate_all(_engine: AsyncEngine, url: str) -> None:
    """Makes the tables as the last release has them."""
    await migrate(url, migrations_of_jobs(), JOBS)
    await migrate(url, migrations_of_billing(), BILLING)


async def submit(engine: AsyncEngine, job_id: str, user_id: str) -> None:
    """Submits a job."""
    job = NewJob(UUID(user_id), UUID(int=8), REF, "talk.mp4", ("es",), 60_000, 60)
    async with transaction(engine) as connection:
        await insert_job(connection, job, UUID(job_id))


async def work(engine: AsyncEngine, job_id: str, *, complete: bool, step: str = "done:es") -> dict[str, Any]:
    """Claims a job and stores a step with results; ends it well, or gives it back. Returns the checkpoints before."""
    claimed = await leases.claim(engine, UUID(job_id), "last-release")
    if isinstance(claimed, leases.Refused):
        raise AssertionError(claimed)
    store = PostgresJobs(engine).store(claimed.lease)
    steps = await store.completed_steps()
    await store.set_progress("tts", 50)
    await store.finish_steps([StepResult(step, "hash", {"made_by": "the last release"}, RESULTS)])
    await leases.renew(engine, claimed.lease)
    if complete:
        await store.job_completed(spent_credits=40, metrics={})
    else:
        await leases.give_back(engine, claimed.lease)
    return {"steps": sorted(steps), "lines": [line.text for line in await store.translations("es")]}


async def cancel_and_resume(engine: AsyncEngine, job_id: str, user_id: str, reservation_id: str) -> str:
    """Cancels a job and resumes it under another reservation; returns the reservation it runs under."""
    async with transaction(engine) as connection:
        await control.request_cancel(connection, UUID(user_id), UUID(job_id))
    async with transaction(engine) as connection:
        await control.resume_job(connection, UUID(user_id), UUID(job_id), reservation_id=reservation_id)
    return (await _job(engine, job_id, user_id)).reservation


async def status(engine: AsyncEngine, job_id: str, user_id: str) -> str:
    """Reads a job with all that belongs to it; returns its status."""
    async with transaction(engine) as connection:
        await queries.list_segments(connection, UUID(user_id), UUID(job_id))
        await queries.list_translations(connection, UUID(user_id), UUID(job_id), "es")
        await queries.list_artifacts(connection, UUID(user_id), UUID(job_id))
    return str((await _job(engine, job_id, user_id)).status)


async def reserve(engine: AsyncEngine, user_id: str, reservation_id: str, amount: int) -> None:
    """Sets credits aside."""
    await Ledger(engine, 600).reserve(user_id, reservation_id, amount)


async def settle(engine: AsyncEngine, reservation_id: str, amount: int) -> int:
    """Charges a reservation; returns the credits spent."""
    return (await Ledger(engine, 600).settle(reservation_id, amount)).spent


async def release(engine: AsyncEngine, reservation_id: str) -> int:
    """Gives a reservation back; returns the credits."""
    return await Ledger(engine, 600).release(reservation_id)


async def entries(engine: AsyncEngine, user_id: str) -> list[list[Any]]:
    """The entries of an account, oldest first: kind, reservation, credits."""
    page = await Ledger(engine, 600).entries(user_id)
    return [[entry.kind, entry.job_id, entry.credits] for entry in reversed(page.entries)]


async def open_reservations(engine: AsyncEngine) -> list[str]:
    """The reservations that are open."""
    return list((await Ledger(engine, 600).open_reservations(0)).job_ids)


async def _job(engine: AsyncEngine, job_id: str, user_id: str) -> Any:
    async with transaction(engine) as connection:
        return (await queries.get_job(connection, UUID(user_id), UUID(job_id))).job


async def main(folder: str, url: str, function: str) -> None:
    """Calls a function with the arguments on standard input; its result goes to standard output."""
    for module in (onevoice_jobs, billing):
        if not str(module.__file__).startswith(folder):
            raise AssertionError(f"{module.__file__} is not the last release's.")
    arguments = json.load(sys.stdin) | ({"url": url} if function == "migrate_all" else {})
    engine = create_engine(DatabaseSettings(database_url=SecretStr(url)))
    result = await globals()[function](engine, **arguments)
    await engine.dispose()
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
