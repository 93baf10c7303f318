"""Cancel, resume, and the sweep for jobs whose message was lost."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import delete

from onevoice_jobs.control import request_cancel, requeue_stuck, resume_job
from onevoice_jobs.leases import LeaseLost, claim, renew
from onevoice_jobs.messages import DubbingJobMessage
from onevoice_jobs.models import outbox
from onevoice_jobs.queries import events_after, get_job
from onevoice_jobs.records import JobError
from onevoice_jobs.states import JobStatus
from onevoice_jobs.testing import completed, finish_step
from onevoice_jobs.workers import deregister, forget_dead, heartbeat, list_workers
from onevoice_kit.db import transaction
from onevoice_kit.errors import Conflict
from onevoice_kit.queue.outbox import OutboxQueue

FAILURE = JobError("engine_failed", "The engine failed.")


async def cancel(engine, user_id, job_id) -> JobStatus:
    async with transaction(engine) as connection:
        return await request_cancel(connection, user_id, job_id)


async def messages(engine) -> list[DubbingJobMessage]:
    queue = OutboxQueue(engine, outbox, visibility_s=0)
    deliveries = await queue.receive(max_messages=10, wait_s=0)
    await queue.close()
    return [DubbingJobMessage.from_delivery(delivery) for delivery in deliveries]


async def test_a_job_nobody_works_on_is_cancelled_at_once(engine, submit, user_id):
    job_id = await submit()
    assert await cancel(engine, user_id, job_id) is JobStatus.CANCELLED
    async with transaction(engine) as connection:
        view = await get_job(connection, user_id, job_id)
        events = await events_after(connection, user_id, job_id)
    assert (view.job.status, view.job.spent_credits) == (JobStatus.CANCELLED, 0)
    assert {language.status.value for language in view.languages} == {"cancelled"}
    assert [event.type for event in events] == ["job.created", "job.cancelled"]


async def test_a_job_cancelled_at_once_sends_a_message_so_that_a_worker_releases_its_credits(engine, submit, user_id):
    job_id = await submit()
    async with transaction(engine) as connection:
        await connection.execute(delete(outbox))
    await cancel(engine, user_id, job_id)
    await cancel(engine, user_id, job_id)
    assert [message.job_id for message in await messages(engine)] == [job_id]


async def test_a_job_in_work_is_told_to_stop_once(engine, submit, take, user_id):
    job_id = await submit()
    store = await take(job_id)
    assert await cancel(engine, user_id, job_id) is JobStatus.PROCESSING
    assert await cancel(engine, user_id, job_id) is JobStatus.PROCESSING
    await store.job_cancelled()
    assert await cancel(engine, user_id, job_id) is JobStatus.CANCELLED
    async with transaction(engine) as connection:
        events = await events_after(connection, user_id, job_id, 2)
    assert [event.type for event in events] == ["job.cancel_requested", "job.cancelled"]


async def test_a_job_whose_worker_died_is_cancelled_at_once_and_the_worker_fenced_off(engine, submit, take, user_id):
    job_id = await submit()
    zombie = await take(job_id, ttl_s=0)
    assert await cancel(engine, user_id, job_id) is JobStatus.CANCELLED
    with pytest.raises(LeaseLost):
        await zombie.job_completed(spent_credits=1, metrics={})
    with pytest.raises(LeaseLost):
        await renew(engine, zombie.lease)


@pytest.mark.parametrize("end", [JobStatus.COMPLETED, JobStatus.FAILED])
async def test_a_job_that_has_ended_cannot_be_cancelled(engine, submit, take, user_id, end):
    job_id = await submit()
    store = await take(job_id)
    await (store.job_failed(FAILURE) if end is JobStatus.FAILED else store.job_completed(spent_credits=1, metrics={}))
    with pytest.raises(Conflict) as error:
        await cancel(engine, user_id, job_id)
    assert error.value.reason == "invalid_transition"


async def test_cancel_and_claim_at_once_agree_on_who_was_first(engine, submit, user_id):
    job_ids = [await submit() for _ in range(10)]
    for job_id in job_ids:
        answer, status = await asyncio.gather(claim(engine, job_id, "worker-1"), cancel(engine, user_id, job_id))
        async with transaction(engine) as connection:
            job = (await get_job(connection, user_id, job_id)).job
        assert job.status is status
        assert hasattr(answer, "lease") is (status is JobStatus.PROCESSING)
        assert job.cancel_requested_at is not None


async def test_a_failed_job_resumes_after_its_last_good_step(engine, submit, take, user_id):
    job_id = await submit()
    store = await take(job_id)
    await finish_step(store, "asr:0", "hash", {"words": 3})
    await finish_step(store, "done:ca", "h", {}, completed("ca", {}))
    await store.job_failed(FAILURE)
    async with transaction(engine) as connection:
        await resume_job(connection, user_id, job_id)
    async with transaction(engine) as connection:
        view = await get_job(connection, user_id, job_id)
        events = await events_after(connection, user_id, job_id, 4)
    job = view.job
    assert (job.status, job.attempts, job.error, job.spent_credits) == (JobStatus.PENDING, 0, None, None)
    assert [language.status.value for language in view.languages] == ["pending", "completed"]
    assert [event.type for event in events] == ["job.resumed"]
    assert len(await messages(engine)) == 2
    assert set(await (await take(job_id)).completed_steps()) == {"asr:0", "done:ca"}


async def test_only_a_failed_or_cancelled_job_resumes(engine, submit, user_id):
    job_id = await submit()
    async with transaction(engine) as connection:
        with pytest.raises(Conflict) as error:
            await resume_job(connection, user_id, job_id)
    assert error.value.reason == "invalid_transition"


async def test_a_job_whose_message_was_lost_gets_another(engine, submit, take):
    lost, held, crashed, done = [await submit() for _ in range(4)]
    await take(held)
    await take(crashed, ttl_s=0)
    await (await take(done)).job_failed(FAILURE)
    async with transaction(engine) as connection:
        assert set(await requeue_stuck(connection, older_than_s=0)) == {lost, crashed}
    sent = [message.job_id for message in await messages(engine)]
    assert sorted(map(sent.count, (lost, held, crashed, done))) == [1, 1, 2, 2]


async def test_a_job_with_a_fresh_message_is_left_alone(engine, submit):
    await submit()
    async with transaction(engine) as connection:
        assert await requeue_stuck(connection, older_than_s=60) == []


async def test_two_sweepers_do_not_send_twice(engine, submit):
    submitted = {await submit() for _ in range(6)}

    async def sweep() -> list[object]:
        async with transaction(engine) as connection:
            return list(await requeue_stuck(connection, older_than_s=0, limit=3))

    found = [job_id for jobs in await asyncio.gather(sweep(), sweep()) for job_id in jobs]
    assert len(found) == len(set(found))
    assert set(found) <= submitted


async def test_workers_show_signs_of_life(engine):
    await heartbeat(engine, "worker-1", service="orchestrator", version="1", slots=4, busy=0)
    await heartbeat(engine, "worker-2", service="orchestrator", version="1", slots=4, busy=1)
    await heartbeat(engine, "worker-1", service="orchestrator", version="1", slots=4, busy=3)
    await deregister(engine, "worker-2")
    (worker,) = await list_workers(engine)
    assert (worker.id, worker.slots, worker.busy, worker.alive) == ("worker-1", 4, 3, True)
    assert worker.seen_at > worker.started_at
    (silent,) = await list_workers(engine, alive_s=0)
    assert not silent.alive
    assert await forget_dead(engine) == 0
    assert await forget_dead(engine, older_than_s=0) == 1
    assert await list_workers(engine) == []
