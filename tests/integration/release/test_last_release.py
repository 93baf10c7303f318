"""The last release's code runs on the new schema, beside the new code, while a release is rolled out (ADR 012)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs import leases, queries, runs
from onevoice_jobs import migrations as of_jobs
from onevoice_jobs.models import SCHEMA as JOBS
from onevoice_jobs.postgres_store import PostgresJobStore
from onevoice_jobs.states import JobStatus
from onevoice_jobs.submit import NewJob, insert_job
from onevoice_kit.db import migrate, transaction, uuid7
from onevoice_kit.storage.base import ObjectRef
from onevoice_local.databases import PostgresDatabases
from services.billing import migrations as of_billing
from services.billing.ledger import Ledger
from services.billing.models import SCHEMA as BILLING
from services.billing.models import Account
from tests.support.databases import opened
from tests.support.last_release import COMMIT, LastRelease, NoHistory, unpack

CALLS = Path(__file__).with_name("calls.py")
USER = UUID(int=7)
REF = ObjectRef("file:///users/u/videos/v/original.mp4", "a" * 64, 1234, "video/mp4")
OLD_JOB = UUID(int=9)
"""Submitted, and its credits reserved, by the last release before the migration."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last release's code."""
    folder = tmp_path_factory.mktemp("release")
    unpack(COMMIT, folder)
    return folder


@pytest.fixture
async def database_url(postgres: PostgresDatabases, unpacked: Path) -> AsyncIterator[str]:
    """A database that the last release made and used, with the new migrations."""

    async def prepare(url: str) -> None:
        last_release = LastRelease(unpacked, CALLS, url)
        await last_release("migrate_all")
        await last_release("submit", job_id=str(OLD_JOB), user_id=str(USER))
        await last_release("reserve", user_id=str(USER), reservation_id=str(OLD_JOB), amount=60)
        await migrate(url, of_jobs.migrations_path(), JOBS)
        await migrate(url, of_billing.migrations_path(), BILLING)

    async with postgres.fresh(await postgres.prepare_template("last_release", prepare)) as url:
        yield url


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    async with opened(database_url) as engine:
        yield engine


@pytest.fixture
def last_release(unpacked: Path, database_url: str) -> LastRelease:
    """Calls into the last release's code, on the migrated database."""
    return LastRelease(unpacked, CALLS, database_url)


async def job_of(engine: AsyncEngine, job_id: UUID) -> queries.JobView:
    async with transaction(engine) as connection:
        return await queries.get_job(connection, USER, job_id)


async def test_the_last_release_takes_a_job_from_its_submission_to_its_end(last_release, engine):
    job_id = uuid7()
    await last_release("submit", job_id=str(job_id), user_id=str(USER))
    assert await last_release("work", job_id=str(job_id), complete=True) == {"steps": [], "lines": ["hola"]}
    assert await last_release("status", job_id=str(job_id), user_id=str(USER)) == "completed"
    job = (await job_of(engine, job_id)).job
    assert (job.status, job.spent_credits) == (JobStatus.COMPLETED, 40)


async def test_a_job_from_before_the_migration_is_finished_by_the_new_code(last_release, engine):
    await last_release("work", job_id=str(OLD_JOB), complete=False)
    claimed = await leases.claim(engine, OLD_JOB, "new-release")
    assert isinstance(claimed, leases.Claim)
    store = PostgresJobStore(engine, claimed.lease)
    assert (await store.completed_steps())["done:es"].output == {"made_by": "the last release"}
    await store.job_completed(spent_credits=60, metrics={})
    assert await last_release("status", job_id=str(OLD_JOB), user_id=str(USER)) == "completed"


async def test_a_job_that_the_new_code_submitted_is_cancelled_resumed_and_finished_by_the_last_release(
    last_release, engine
):
    job_id = uuid7()
    async with transaction(engine) as connection:
        await insert_job(connection, NewJob(USER, UUID(int=8), REF, "talk.mp4", ("es",), 60_000, 60), job_id)
    again = {"job_id": str(job_id), "user_id": str(USER), "reservation_id": "second-run"}
    assert await last_release("cancel_and_resume", **again) == "second-run"
    await last_release("work", job_id=str(job_id), complete=True)
    view = await job_of(engine, job_id)
    assert (view.job.status, view.job.reservation, view.job.resumes) == (JobStatus.COMPLETED, "second-run", 1)
    assert [task.status for task in view.languages] == ["completed"]


async def test_a_worker_of_the_last_release_cannot_take_a_job_whose_edits_it_would_ignore(last_release, engine):
    job_id = uuid7()
    async with transaction(engine) as connection:
        await insert_job(connection, NewJob(USER, UUID(int=8), REF, "talk.mp4", ("es",), 60_000, 60), job_id)
    await last_release("work", job_id=str(job_id), complete=True)
    async with transaction(engine) as connection:
        await runs.edit_translation(connection, USER, job_id, "es", 0, "buenas")
        changed = await runs.unpaid_changes(connection, USER, job_id)
        await runs.start_edit_run(
            connection, USER, job_id, reservation_id="second-run", quoted_credits=1, changed_ms=changed
        )
    with pytest.raises(AssertionError, match="jobs_edits_epoch_check"):
        await last_release("work", job_id=str(job_id), complete=True)
    # The lease of a dead worker of this release does not let it in either.
    assert isinstance(await leases.claim(engine, job_id, "dies", ttl_s=0), leases.Claim)
    with pytest.raises(AssertionError, match="jobs_edits_epoch_check"):
        await last_release("work", job_id=str(job_id), complete=True)
    claimed = await leases.claim(engine, job_id, "new-release")
    assert isinstance(claimed, leases.Claim)
    assert [edit.text for edit in await PostgresJobStore(engine, claimed.lease).edits()] == ["buenas"]


async def test_a_run_that_the_last_release_began_is_a_row_and_so_is_its_end(last_release, engine):
    job_id = uuid7()
    await last_release("submit", job_id=str(job_id), user_id=str(USER))
    again = {"job_id": str(job_id), "user_id": str(USER), "reservation_id": "second-run"}
    await last_release("cancel_and_resume", **again)
    await last_release("work", job_id=str(job_id), complete=True)
    async with transaction(engine) as connection:
        found = await runs.list_runs(connection, USER, job_id)
    assert [(run.number, run.reason, run.status, run.spent_credits) for run in found] == [
        (1, "submit", "cancelled", 0),
        (2, "resume", "completed", 40),
    ]
    assert [run.reservation_id for run in found] == [str(job_id), "second-run"]


async def test_a_payment_that_a_worker_of_the_last_release_stored_is_seen(last_release, engine):
    job_id = uuid7()
    await last_release("submit", job_id=str(job_id), user_id=str(USER))
    await last_release("work", job_id=str(job_id), complete=False, step="manifest")
    async with transaction(engine) as connection:
        assert await queries.may_be_paid(connection, job_id)
        assert not await queries.may_be_paid(connection, OLD_JOB)


async def test_the_last_release_reserves_and_settles(last_release, engine):
    await last_release("reserve", user_id="ann", reservation_id="run-1", amount=100)
    assert await last_release("settle", reservation_id="run-1", amount=70) == 70
    ledger = Ledger(engine, 600)
    assert await ledger.account("ann") == Account("ann", 530, 0)
    reservations = [entry.reservation_id for entry in (await ledger.entries("ann")).entries]
    assert reservations == ["run-1", "run-1", "run-1", None]


async def test_either_release_closes_what_the_other_has_reserved(last_release, engine):
    ledger = Ledger(engine, 600)
    await ledger.reserve("ann", "new-1", 100, job_id="job")
    await ledger.reserve("ann", "new-2", 50, job_id="job")
    await last_release("reserve", user_id="ann", reservation_id="old-1", amount=30)
    assert await last_release("open_reservations") == [str(OLD_JOB), "new-1", "new-2", "old-1"]
    assert await last_release("settle", reservation_id="new-1", amount=80) == 80
    assert await last_release("release", reservation_id="new-2") == 50
    assert (await ledger.settle("old-1", 30)).spent == 30
    assert (await ledger.settle(str(OLD_JOB), 60)).spent == 60
    assert await ledger.account("ann") == Account("ann", 490, 0)
    kinds = [("grant", None, 600), ("reserve", "new-1", 100), ("reserve", "new-2", 50), ("reserve", "old-1", 30)]
    closed = [("settle", "new-1", 80), ("release", "new-1", 20), ("release", "new-2", 50), ("settle", "old-1", 30)]
    assert await last_release("entries", user_id="ann") == [list(entry) for entry in kinds + closed]


def test_a_clone_without_history_is_named_as_the_cause(tmp_path):
    with pytest.raises(NoHistory, match=r"not in this clone: get the whole history.*0000"):
        unpack("0" * 40, tmp_path)
