"""Leases: one holder at a time, recovery after a crash, fencing of whoever was replaced."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs.control import request_cancel
from onevoice_jobs.leases import Claim, Lease, LeaseLost, Refusal, Refused, Verdict, claim, give_back, renew
from onevoice_jobs.queries import events_after, get_job
from onevoice_jobs.states import JobStatus
from onevoice_jobs.store import PostgresJobStore
from onevoice_jobs.testing import finish_step
from onevoice_kit.db import transaction, uuid7


async def claimed(engine: AsyncEngine, job_id: UUID, owner: str = "worker-1", ttl_s: float = 120.0) -> Claim:
    answer = await claim(engine, job_id, owner, ttl_s=ttl_s)
    assert isinstance(answer, Claim)
    return answer


async def test_a_claim_starts_a_pending_job(engine, submit, user_id):
    job_id = await submit()
    answer = await claimed(engine, job_id)
    assert (answer.verdict, answer.resumed) == (Verdict.RUN, False)
    assert (answer.lease.owner, answer.lease.epoch) == ("worker-1", 1)
    assert (answer.job.status, answer.job.attempts, answer.job.target_languages) == ("processing", 1, ("es", "ca"))
    assert answer.job.started_at is not None
    async with transaction(engine) as connection:
        events = await events_after(connection, user_id, job_id)
    assert [(event.id, event.type) for event in events] == [(1, "job.created"), (2, "job.started")]


async def test_a_held_job_is_refused_with_the_time_left(engine, submit):
    job_id = await submit()
    await claimed(engine, job_id, ttl_s=120)
    answer = await claim(engine, job_id, "worker-2")
    assert isinstance(answer, Refused)
    assert answer.reason is Refusal.HELD
    assert 100 < answer.retry_in_s <= 120


async def test_an_unknown_job_is_refused(engine):
    answer = await claim(engine, uuid7(), "worker-1")
    assert answer == Refused(Refusal.UNKNOWN, None)


async def test_an_ended_job_is_refused_and_shown(engine, submit, take):
    job_id = await submit()
    await (await take(job_id)).job_completed(spent_credits=10, metrics={})
    answer = await claim(engine, job_id, "worker-2")
    assert isinstance(answer, Refused)
    assert answer.reason is Refusal.ENDED
    assert answer.job is not None
    assert answer.job.status is JobStatus.COMPLETED


async def test_of_many_claims_at_once_one_wins(engine, submit):
    job_id = await submit()
    answers = await asyncio.gather(*(claim(engine, job_id, f"worker-{n}") for n in range(20)))
    winners = [answer for answer in answers if isinstance(answer, Claim)]
    assert len(winners) == 1
    assert {answer.reason for answer in answers if isinstance(answer, Refused)} == {Refusal.HELD}


async def test_an_expired_lease_is_taken_over_and_its_old_holder_fenced_off(engine, submit):
    job_id = await submit()
    first = await claimed(engine, job_id, ttl_s=0)
    second = await claimed(engine, job_id, "worker-2")
    assert (second.lease.epoch, second.resumed, second.job.attempts) == (first.lease.epoch + 1, True, 2)
    with pytest.raises(LeaseLost) as lost:
        await renew(engine, first.lease)
    assert lost.value.reason == "lease_lost"
    with pytest.raises(LeaseLost):
        await finish_step(PostgresJobStore(engine, first.lease), "probe", "h", {})
    await finish_step(PostgresJobStore(engine, second.lease), "probe", "h", {})
    assert set(await PostgresJobStore(engine, second.lease).completed_steps()) == {"probe"}


async def test_a_job_is_started_once_however_often_it_is_claimed(engine, submit, user_id):
    job_id = await submit()
    for _ in range(3):
        await claimed(engine, job_id, ttl_s=0)
    async with transaction(engine) as connection:
        events = await events_after(connection, user_id, job_id)
    assert [event.type for event in events] == ["job.created", "job.started"]


async def test_renewing_keeps_the_lease_and_tells_of_a_cancel(engine, submit, user_id):
    job_id = await submit()
    lease = (await claimed(engine, job_id, ttl_s=0)).lease
    renewal = await renew(engine, lease, ttl_s=60)
    assert renewal.lease.until > lease.until
    assert not renewal.cancel_requested
    assert isinstance(await claim(engine, job_id, "worker-2"), Refused)
    async with transaction(engine) as connection:
        assert await request_cancel(connection, user_id, job_id) is JobStatus.PROCESSING
    assert (await renew(engine, renewal.lease)).cancel_requested


async def test_a_lease_given_back_is_free_at_once_and_its_holder_fenced_off(engine, submit):
    job_id = await submit()
    lease = (await claimed(engine, job_id)).lease
    await give_back(engine, lease)
    with pytest.raises(LeaseLost):
        await renew(engine, lease)
    again = await claimed(engine, job_id, "worker-2")
    assert again.job.attempts == 2


async def test_a_worker_told_to_stop_costs_no_attempt(engine, submit):
    job_id = await submit()
    for _ in range(10):
        await give_back(engine, (await claimed(engine, job_id)).lease, count_attempt=False)
    assert (await claimed(engine, job_id)).job.attempts == 1


async def test_giving_back_a_lost_lease_does_not_touch_the_new_one(engine, submit):
    job_id = await submit()
    old = (await claimed(engine, job_id, ttl_s=0)).lease
    new = (await claimed(engine, job_id, "worker-2")).lease
    await give_back(engine, old)
    assert (await renew(engine, new)).lease.epoch == new.epoch


async def test_the_sixth_attempt_is_not_run(engine, submit, user_id):
    job_id = await submit()
    verdicts = [(await claimed(engine, job_id, ttl_s=0)).verdict for _ in range(6)]
    assert verdicts == [Verdict.RUN] * 5 + [Verdict.EXHAUSTED]


async def test_a_job_past_its_deadline_is_not_run_but_can_be_failed(engine, submit, user_id):
    job_id = await submit(deadline_s=0)
    answer = await claimed(engine, job_id)
    assert (answer.verdict, answer.job.status) == (Verdict.OVERDUE, JobStatus.PENDING)


async def test_a_cancelled_job_whose_worker_died_is_claimed_to_be_cancelled(engine, submit, user_id):
    job_id = await submit()
    lease = (await claimed(engine, job_id, ttl_s=60)).lease
    async with transaction(engine) as connection:
        await request_cancel(connection, user_id, job_id)
    await renew(engine, lease, ttl_s=0)
    answer = await claimed(engine, job_id, "worker-2")
    assert answer.verdict is Verdict.CANCEL
    await PostgresJobStore(engine, answer.lease).job_cancelled()
    async with transaction(engine) as connection:
        view = await get_job(connection, user_id, job_id)
    assert view.job.status is JobStatus.CANCELLED


async def test_a_lease_of_another_epoch_is_no_lease(engine, submit):
    job_id = await submit()
    lease = (await claimed(engine, job_id)).lease
    forged = Lease(job_id, lease.owner, lease.epoch + 1, lease.until)
    with pytest.raises(LeaseLost):
        await PostgresJobStore(engine, forged).set_progress("asr", 5)
