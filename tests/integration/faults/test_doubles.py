"""Messages that come twice, three times, at once, late and out of order: a job is still done once."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from onevoice_jobs.states import JobStatus
from onevoice_kit.errors import InvalidInput
from onevoice_kit.queue.sqs import SqsQueue
from onevoice_kit.testing.faulty_queue import Faults, FaultyQueue
from onevoice_local.aws import Aws
from tests.support.instant_stages import fails
from tests.support.outcomes import assert_completed_once, assert_given_back_once, rows_of
from tests.support.rig import Rig

WORKERS = 3


@pytest.mark.parametrize("copies", [2, 3])
async def test_copies_taken_by_several_workers_at_once_make_one_job(rig: Rig, copies: int) -> None:
    job_ids = [await rig.submit() for _ in range(3)]
    await rig.duplicate_messages(copies)
    async with AsyncExitStack() as stack:
        for _ in range(WORKERS):
            await stack.enter_async_context(rig.worker(worker_max_jobs=3))
        await rig.until_over(*job_ids)
    for job_id in job_ids:
        await assert_completed_once(rig, job_id, jobs=3)


async def test_copies_in_sqs_taken_by_several_workers_at_once_make_one_job(rig: Rig, aws: Aws) -> None:
    job_ids = [await rig.submit() for _ in range(3)]
    await rig.duplicate_messages(3)
    await rig.relay(SqsQueue(aws.queue_settings()))
    async with AsyncExitStack() as stack:
        for _ in range(WORKERS):
            queue = SqsQueue(aws.queue_settings(), visibility_s=2)
            await stack.enter_async_context(rig.worker(queue=queue, worker_max_jobs=3, worker_lease_s=2.0))
        await rig.until_over(*job_ids)
    for job_id in job_ids:
        await assert_completed_once(rig, job_id, jobs=3)


async def test_copies_that_come_after_the_end_change_nothing(rig: Rig) -> None:
    job_id = await rig.submit()
    async with rig.worker():
        await rig.until_over(job_id)
        await assert_completed_once(rig, job_id)
        before = await rows_of(rig, job_id)
        await rig.send(job_id)
        await rig.send(job_id)
        await rig.until_over(job_id)
    assert await rows_of(rig, job_id) == before
    await assert_completed_once(rig, job_id)


@pytest.mark.parametrize("seed", range(3))
async def test_deliveries_repeated_late_and_reordered_with_lost_deletes_make_one_job(rig: Rig, seed: int) -> None:
    faults = Faults(duplicate=0.7, delay=0.4, reorder=0.5, lose_delete=0.4)
    job_ids = [await rig.submit() for _ in range(3)]
    await rig.duplicate_messages(2)
    async with AsyncExitStack() as stack:
        for number in range(2):
            wrap = lambda queue, number=number: FaultyQueue(queue, 2 * seed + number, faults)  # noqa: E731
            await stack.enter_async_context(rig.worker(wrap_queue=wrap, worker_max_jobs=3, worker_lease_s=2.0))
        await rig.until_over(*job_ids)
    for job_id in job_ids:
        await assert_completed_once(rig, job_id, jobs=3)


async def test_copies_of_a_job_that_fails_give_its_credits_back_once(rig: Rig) -> None:
    rig.script.faults["Probe"] = fails(InvalidInput("Not a video.", reason="unsupported_format"))
    job_id = await rig.submit()
    await rig.duplicate_messages(3)
    async with rig.worker(), rig.worker():
        await rig.until_over(job_id)
    await assert_given_back_once(rig, job_id, JobStatus.FAILED)
