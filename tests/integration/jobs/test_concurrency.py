"""Calls at the same moment on PostgreSQL: claims, cancels, sweeps, and the fence of a lease."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import event, func, insert, select, update

from onevoice_jobs.control import request_cancel, requeue_stuck
from onevoice_jobs.leases import Claim, LeaseLost, Refusal, Refused, claim
from onevoice_jobs.models import jobs, steps
from onevoice_jobs.queries import events_after, get_job
from onevoice_jobs.records import Event, Published, StepResult
from onevoice_jobs.states import JobStatus
from onevoice_jobs.testing import finish_step
from onevoice_kit.db import transaction
from tests.contract.jobs.cases import WRITES
from tests.support.blocked import done_or_blocked


async def cancel(engine, user_id, job_id) -> JobStatus:
    async with transaction(engine) as connection:
        return await request_cancel(connection, user_id, job_id)


@pytest.mark.parametrize("write", list(WRITES.values()), ids=list(WRITES))
async def test_every_write_of_a_holder_is_one_statement(engine, submit, take, write):
    store = await take(await submit())
    seen: list[str] = []
    listen = ("before_cursor_execute", lambda _c, _k, statement, *_: seen.append(statement))
    event.listen(engine.sync_engine, *listen)
    await write(store)
    event.remove(engine.sync_engine, *listen)
    assert len(seen) == 1


async def test_a_checkpoint_waits_for_a_claim_that_is_being_made(engine, submit, take):
    """And is then too late, though the lease was still its own when it was sent."""
    job_id = await submit()
    store = await take(job_id, ttl_s=0)
    async with engine.connect() as connection:
        claiming = update(jobs).where(jobs.c.id == job_id).values(lease_epoch=jobs.c.lease_epoch + 1)
        await connection.execute(claiming)
        writing = asyncio.create_task(finish_step(store, "probe", "h", {}))
        await done_or_blocked(engine, writing)
        await connection.commit()
    with pytest.raises(LeaseLost):
        await writing


async def test_a_cancel_waits_for_a_checkpoint_that_is_being_written(engine, submit, take, user_id):
    """And then sees that the job may be paid for, though its worker was taken for dead when the cancel was sent."""
    job_id = await submit()
    await take(job_id, ttl_s=0)
    async with engine.connect() as connection:
        await connection.execute(select(jobs.c.id).where(jobs.c.id == job_id).with_for_update(read=True))
        manifest = {"step_key": "manifest", "input_hash": "h", "payment": True, "output": {}, "lease_epoch": 1}
        await connection.execute(insert(steps).values(job_id=job_id, attempt=1, **manifest))
        cancelling = asyncio.create_task(cancel(engine, user_id, job_id))
        await done_or_blocked(engine, cancelling)
        await connection.commit()
    assert await cancelling is JobStatus.PROCESSING


async def test_a_claim_waits_for_a_checkpoint_that_is_being_written(engine, submit, take):
    """The fence is a lock: a claim cannot slip between the check and the write."""
    job_id = await submit()
    await take(job_id, ttl_s=0)
    async with engine.connect() as connection:
        await connection.execute(select(jobs.c.id).where(jobs.c.id == job_id).with_for_update(read=True))
        taking = asyncio.create_task(claim(engine, job_id, "worker-2"))
        await done_or_blocked(engine, taking)
        assert not taking.done()
        await connection.rollback()
    assert (await taking).lease.epoch == 2  # type: ignore[union-attr]


async def test_a_repeated_write_waits_for_the_one_whose_reply_was_lost(engine, submit, take, user_id):
    """The first may still be under way: a repetition that does not see it yet would record its events again."""
    job_id = await submit()
    store = await take(job_id)
    result = StepResult("cut", "h", {}, Published(events=(Event("cut.done"),)))
    async with engine.connect() as connection:
        await connection.execute(select(jobs.c.id).where(jobs.c.id == job_id).with_for_update())
        first = asyncio.create_task(store.finish_steps([result]))
        await done_or_blocked(engine, first)
        second = asyncio.create_task(store.finish_steps([result], again=True))
        await done_or_blocked(engine, second, blocked=2)
        await connection.rollback()
    await asyncio.gather(first, second)
    async with transaction(engine) as connection:
        types = [recorded.type for recorded in await events_after(connection, user_id, job_id, 2)]
    assert types == ["cut.done"]


async def test_of_many_claims_at_once_one_wins(engine, submit):
    job_id = await submit()
    answers = await asyncio.gather(*(claim(engine, job_id, f"worker-{n}") for n in range(20)))
    winners = [answer for answer in answers if isinstance(answer, Claim)]
    assert len(winners) == 1
    assert {answer.reason for answer in answers if isinstance(answer, Refused)} == {Refusal.HELD}


async def test_cancel_and_claim_at_once_agree_on_which_was_first(engine, submit, user_id):
    job_ids = [await submit() for _ in range(10)]
    for job_id in job_ids:
        answer, status = await asyncio.gather(claim(engine, job_id, "worker-1"), cancel(engine, user_id, job_id))
        async with transaction(engine) as connection:
            job = (await get_job(connection, user_id, job_id)).job
        assert job.status is status
        assert hasattr(answer, "lease") is (status is JobStatus.PROCESSING)
        assert job.cancel_requested_at is not None


async def test_two_sweepers_do_not_send_twice(engine, submit):
    """With an age of 0 s a sweeper that begins when the other has ended would find its new messages as old ones."""
    submitted = {await submit() for _ in range(6)}
    async with transaction(engine) as connection:
        await connection.execute(update(jobs).values(enqueued_at=func.now() - timedelta(hours=1)))

    async def sweep() -> list[object]:
        async with transaction(engine) as connection:
            return list(await requeue_stuck(connection, older_than_s=60, limit=3))

    found = [job_id for swept in await asyncio.gather(sweep(), sweep()) for job_id in swept]
    assert len(found) == len(set(found))
    assert set(found) <= submitted


async def test_events_of_writes_that_wait_for_each_other_are_numbered_without_gaps(engine, submit, take, user_id):
    job_id = await submit()
    store = await take(job_id)
    published = Published(events=(Event("step.one"), Event("step.two")))
    async with engine.connect() as connection:
        await connection.execute(select(jobs.c.id).where(jobs.c.id == job_id).with_for_update())
        first = asyncio.create_task(store.record(Event("line.ready", {})))
        await done_or_blocked(engine, first)
        second = asyncio.create_task(finish_step(store, "s", "h", {}, published))
        await done_or_blocked(engine, second, blocked=2)
        await connection.rollback()
    await asyncio.gather(first, second)
    async with transaction(engine) as connection:
        events = await events_after(connection, user_id, job_id)
        rest = await events_after(connection, user_id, job_id, 4)
    assert [event.id for event in events] == [1, 2, 3, 4, 5]
    assert [event.id for event in rest] == [5]
