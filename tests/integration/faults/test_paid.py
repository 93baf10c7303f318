"""A paid job is delivered: a cancel or a deadline between the settlement and the end comes too late."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, update

from onevoice_jobs.leases import claim
from onevoice_jobs.models import jobs
from onevoice_jobs.service import PostgresJobs
from onevoice_jobs.states import JobStatus
from onevoice_kit.db import transaction
from onevoice_kit.grpc.client import connect
from onevoice_kit.storage.file import FileStorage
from onevoice_kit.testing.waiting import eventually
from services.orchestrator.endings import Endings
from services.orchestrator.sweeper import Sweeper, Swept
from tests.support.answers import LateAnswer
from tests.support.outcomes import assert_completed_once, ledger_of
from tests.support.rig import PRICE, RESERVED, Rig, stages_on
from tests.support.rig import rig as new_rig

CHARGED = [("reserve", RESERVED), ("settle", PRICE), ("release", RESERVED - PRICE)]


@pytest.fixture
def late(request: pytest.FixtureRequest) -> LateAnswer:
    """Billing does its work and its reply is lost: of the first settlement, or of the call that the test names."""
    method, times = getattr(request, "param", ("Settle", 1))
    return LateAnswer(method, times)


@pytest.fixture
async def rig(database_url: str, file_storage: FileStorage, tmp_path: Path, late: LateAnswer) -> AsyncIterator[Rig]:
    async with new_rig(database_url, file_storage, tmp_path / "objects", late.wrap) as rig:
        yield rig


async def abandoned(rig: Rig, late: LateAnswer) -> UUID:
    """A job whose worker stopped when billing had done its work, and before it could store that it has."""
    job_id = await rig.submit()
    async with rig.worker():
        await eventually(late.kept.is_set)
    assert (await rig.job(job_id)).attempts == 0
    return job_id


async def due_in(rig: Rig, seconds: float) -> None:
    deadline = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
    async with transaction(rig.engine) as connection:
        await connection.execute(update(jobs).values(deadline_at=deadline))


async def swept(rig: Rig) -> Swept:
    """One round of a sweeper."""
    channel = connect(rig.stages_address)
    stages, jobs_port = stages_on(channel), PostgresJobs(rig.engine)
    endings = Endings(stages, rig.storage)
    sweeper = Sweeper(rig.engine, jobs_port, endings, stages.billing, rig.settings, owner="sweeper-1")
    done = await sweeper.sweep()
    await channel.close(None)
    return done


async def test_a_job_cancelled_while_its_credits_are_settled_is_completed(rig: Rig, late: LateAnswer) -> None:
    job_id = await rig.submit()
    async with rig.worker():
        await eventually(late.kept.is_set)
        assert await rig.cancel(job_id) is JobStatus.PROCESSING
        await rig.until_over(job_id)
    await assert_completed_once(rig, job_id, besides=("job.cancel_requested",))


async def test_a_job_cancelled_after_its_worker_settled_and_died_is_completed_by_the_next(
    rig: Rig, late: LateAnswer
) -> None:
    job_id = await abandoned(rig, late)
    assert await rig.cancel(job_id) is JobStatus.PROCESSING, "what may be paid for is not cancelled at once"
    async with rig.worker():
        await rig.until_over(job_id)
    await assert_completed_once(rig, job_id, besides=("job.cancel_requested",))


@pytest.mark.parametrize("late", [("Quote", 1)], indirect=True)
async def test_a_job_cancelled_just_before_it_was_settled_is_cancelled_by_the_next_worker(
    rig: Rig, late: LateAnswer
) -> None:
    job_id = await abandoned(rig, late)
    assert await rig.cancel(job_id) is JobStatus.PROCESSING
    async with rig.worker():
        await rig.until_over(job_id)
    assert (await rig.job(job_id)).status is JobStatus.CANCELLED
    assert await ledger_of(rig, job_id) == [("reserve", RESERVED), ("release", RESERVED)]


async def test_a_job_whose_deadline_passes_after_its_worker_settled_and_died_is_completed(
    rig: Rig, late: LateAnswer
) -> None:
    job_id = await abandoned(rig, late)
    await due_in(rig, 0)
    async with rig.worker():
        await rig.until_over(job_id)
    await assert_completed_once(rig, job_id)


@pytest.mark.parametrize("late", [("Settle", 2)], indirect=True)
async def test_a_job_whose_deadline_passes_while_its_credits_are_settled_is_completed(
    rig: Rig, late: LateAnswer
) -> None:
    """The second worker gets no reply from billing either, until the deadline."""
    job_id = await abandoned(rig, late)
    await due_in(rig, 1.0)
    async with rig.worker():
        await rig.until_over(job_id)
    await assert_completed_once(rig, job_id)


async def test_the_sweeper_leaves_a_late_job_that_is_paid_for_to_a_worker(rig: Rig, late: LateAnswer) -> None:
    job_id = await abandoned(rig, late)
    await due_in(rig, 0)
    assert await swept(rig) == Swept((), (), (), 0)
    job = await rig.job(job_id)
    assert (job.status, job.attempts) == (JobStatus.PROCESSING, 0)
    async with rig.worker():
        await rig.until_over(job_id)
    await assert_completed_once(rig, job_id)


async def test_a_job_that_dies_too_often_over_its_delivery_fails_and_stays_charged(rig: Rig, late: LateAnswer) -> None:
    job_id = await abandoned(rig, late)
    await claim(rig.engine, job_id, "dies", ttl_s=0)
    await rig.cancel(job_id)
    async with rig.worker(worker_max_attempts=1):
        await rig.until_over(job_id)
    job = await rig.job(job_id)
    assert (job.status, job.error and job.error.reason) == (JobStatus.FAILED, "too_many_attempts")
    assert (job.spent_credits, await ledger_of(rig, job_id)) == (PRICE, CHARGED)
