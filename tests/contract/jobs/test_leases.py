"""The contract of every job engine: claims, leases, and jobs that wait."""

from __future__ import annotations

from datetime import timedelta

import pytest

from onevoice_jobs.leases import Claim, Lease, LeaseLost, Refusal, Refused, Verdict
from onevoice_jobs.parking import Wait
from onevoice_jobs.states import JobStatus
from onevoice_jobs.testing import finish_step
from onevoice_kit.db import uuid7
from tests.contract.jobs.cases import FAILURE, claim, claimed, types


async def test_a_claim_starts_a_pending_job_once(under_test):
    job_id = await under_test.submit()
    answers = [await claimed(under_test, job_id, ttl_s=0) for _ in range(3)]
    seen = [(answer.lease.epoch, answer.job.attempts, answer.verdict, answer.resumed) for answer in answers]
    assert seen == [(1, 1, Verdict.RUN, False), (2, 2, Verdict.RUN, True), (3, 3, Verdict.RUN, True)]
    job = answers[0].job
    assert (job.status, job.started_at is not None, job.target_languages) == ("processing", True, ("es", "ca"))
    assert answers[0].lease.owner == "worker-1"
    assert await types(under_test, job_id) == ["job.created", "job.started"]


async def test_an_expired_lease_is_taken_over_and_its_old_holder_fenced_off(under_test):
    job_id = await under_test.submit()
    old = (await claimed(under_test, job_id, ttl_s=0)).lease
    new = await claimed(under_test, job_id, "worker-2")
    assert (new.lease.epoch, new.resumed, new.job.attempts) == (old.epoch + 1, True, 2)
    with pytest.raises(LeaseLost) as lost:
        await under_test.jobs.renew(old, ttl_s=60)
    assert lost.value.reason == "lease_lost"
    with pytest.raises(LeaseLost):
        await finish_step(under_test.jobs.store(old), "probe", "h", {})
    await under_test.jobs.give_back(old, count_attempt=True)
    assert (await under_test.jobs.renew(new.lease, ttl_s=60)).lease.epoch == new.lease.epoch
    store = under_test.jobs.store(new.lease)
    await finish_step(store, "probe", "h", {})
    assert set(await store.completed_steps()) == {"probe"}


async def test_claims_are_refused_with_the_reason(under_test):
    job_id = await under_test.submit()
    assert await claim(under_test, uuid7()) == Refused(Refusal.UNKNOWN, None)
    await claim(under_test, job_id)
    held = await claim(under_test, job_id, "worker-2")
    assert isinstance(held, Refused)
    assert (held.reason, 100 < held.retry_in_s <= 120) == (Refusal.HELD, True)


async def test_a_claim_made_again_by_the_same_owner_finds_its_own_lease(under_test):
    job_id = await under_test.submit()
    first, again = [await claim(under_test, job_id, "worker-1/a", ttl_s=ttl_s, max_attempts=1) for ttl_s in (60, 90)]
    assert isinstance(first, Claim)
    assert isinstance(again, Claim)
    assert again.lease.until > first.lease.until
    assert (again.lease.epoch, again.lease.owner) == (first.lease.epoch, first.lease.owner)
    assert (again.job.attempts, again.job.status, again.verdict) == (1, JobStatus.PROCESSING, Verdict.RUN)
    assert await types(under_test, job_id) == ["job.created", "job.started"]
    other = await claim(under_test, job_id, "worker-1/b")
    assert isinstance(other, Refused)
    assert other.reason is Refusal.HELD
    await finish_step(under_test.jobs.store(first.lease), "probe", "h", {})


async def test_a_claim_made_again_after_its_lease_is_another_attempt(under_test):
    job_id = await under_test.submit()
    await claim(under_test, job_id, "worker-1/a", ttl_s=0)
    again = await claimed(under_test, job_id, "worker-1/a")
    assert (again.lease.epoch, again.job.attempts) == (2, 2)


async def test_a_claim_made_again_returns_a_cancel(under_test):
    job_id = await under_test.submit()
    await claim(under_test, job_id, "worker-1/a")
    await under_test.cancel(job_id)
    assert (await claimed(under_test, job_id, "worker-1/a")).verdict is Verdict.CANCEL


async def test_an_ended_job_is_refused_and_shown(under_test, take):
    job_id = await under_test.submit()
    await (await take(job_id)).job_completed(spent_credits=10, metrics={"a": 1})
    answer = await claim(under_test, job_id)
    assert isinstance(answer, Refused)
    assert answer.reason is Refusal.ENDED
    assert answer.job is not None
    assert (answer.job.status, answer.job.progress, answer.job.metrics) == (JobStatus.COMPLETED, 100, {"a": 1})


async def test_the_sixth_attempt_is_not_run(under_test):
    job_id = await under_test.submit()
    verdicts = [getattr(await claim(under_test, job_id, ttl_s=0), "verdict", None) for _ in range(6)]
    assert verdicts == [Verdict.RUN] * 5 + [Verdict.EXHAUSTED]


async def test_a_job_past_its_deadline_stays_pending_and_can_be_failed(under_test, take):
    job_id = await under_test.submit(deadline_s=0)
    answer = await claimed(under_test, job_id, ttl_s=0)
    assert (answer.verdict, answer.job.status) == (Verdict.OVERDUE, JobStatus.PENDING)
    await (await take(job_id)).job_failed(FAILURE)
    assert await types(under_test, job_id) == ["job.created", "job.failed"]


async def test_a_renewed_lease_lasts_and_returns_a_cancel(under_test):
    job_id = await under_test.submit()
    first = await claimed(under_test, job_id, ttl_s=0)
    renewal = await under_test.jobs.renew(first.lease, ttl_s=60)
    assert renewal.lease.until > first.lease.until
    assert not renewal.cancel_requested
    assert isinstance(await claim(under_test, job_id, "worker-2"), Refused)
    assert await under_test.cancel(job_id) is JobStatus.PROCESSING
    assert (await under_test.jobs.renew(renewal.lease, ttl_s=60)).cancel_requested


@pytest.mark.parametrize(("counted", "attempts"), [(True, 2), (False, 1)])
async def test_a_lease_given_back_is_free_at_once(under_test, counted, attempts):
    job_id = await under_test.submit()
    first = await claimed(under_test, job_id)
    await under_test.jobs.give_back(first.lease, count_attempt=counted)
    with pytest.raises(LeaseLost):
        await under_test.jobs.renew(first.lease, ttl_s=60)
    second = await claimed(under_test, job_id, "worker-2")
    assert (second.job.attempts, second.lease.epoch) == (attempts, 3)
    await under_test.jobs.give_back(first.lease, count_attempt=True)
    assert (await under_test.jobs.renew(second.lease, ttl_s=60)).lease.epoch == 3


@pytest.mark.parametrize("counted", [True, False])
async def test_a_lease_given_back_twice_is_given_back_once(under_test, counted):
    job_id = await under_test.submit()
    await claimed(under_test, job_id, ttl_s=0)
    second = await claimed(under_test, job_id)
    for _ in range(2):
        await under_test.jobs.give_back(second.lease, count_attempt=counted)
    job = await under_test.job(job_id)
    assert (job.attempts, job.lease_epoch) == (2 if counted else 1, 3)


async def held(under_test, job_id) -> Lease:
    return (await claimed(under_test, job_id)).lease


def wait(delay_s: float = 40.0, *, progressed: bool = False) -> Wait:
    return Wait("tts", "tts_down", delay_s, progressed)


async def test_a_parked_job_is_sent_again_later_and_has_used_no_attempt(under_test):
    job_id = await under_test.submit()
    await under_test.jobs.park(await held(under_test, job_id), wait())
    job = await under_test.job(job_id)
    assert (job.status, job.stage, job.attempts) == (JobStatus.PROCESSING, "waiting for tts", 0)
    assert [attempt for _, attempt, _ in await under_test.sent()] == ["1", "1"]
    assert await under_test.delays() == pytest.approx([0.0, 40.0])
    again = await claimed(under_test, job_id, "worker-2")
    assert (again.job.attempts, again.resumed) == (1, True)


async def test_a_job_is_parked_once_and_only_by_the_holder_of_its_lease(under_test):
    """A caller that lost the reply must not delete the message."""
    job_id = await under_test.submit()
    lease = await held(under_test, job_id)
    await under_test.jobs.park(lease, wait())
    with pytest.raises(LeaseLost):
        await under_test.jobs.park(lease, wait())
    assert len(await under_test.sent()) == 2
    ended = await held(under_test, job_id)
    await under_test.jobs.store(ended).job_failed(FAILURE)
    with pytest.raises(LeaseLost):
        await under_test.jobs.park(ended, wait())


@pytest.mark.parametrize(("deadline_s", "delays"), [(3600.0, 60.0), (30.0, 30.0), (-5.0, 60.0)])
async def test_a_parked_job_comes_back_at_its_deadline_at_the_latest(under_test, deadline_s, delays):
    job_id = await under_test.submit(deadline_s=deadline_s)
    await under_test.jobs.park(await held(under_test, job_id), wait(60.0))
    assert (await under_test.delays())[1] == pytest.approx(delays, abs=1.0)


async def test_a_wait_lasts_until_a_step_has_been_completed(under_test):
    job_id, since = await under_test.submit(), []
    for progressed in (False, False, True):
        await under_test.jobs.park(await held(under_test, job_id), wait(progressed=progressed))
        since.append((await under_test.job(job_id)).waiting_since)
    assert since[0] == since[1] < since[2]
    assert (await types(under_test, job_id)).count("job.waiting") == 2


async def test_the_message_of_a_parked_job_is_refused_for_the_newer_one(under_test):
    """Also where the worker died before it could delete the older one, whichever of them is received first."""
    job_id = await under_test.submit()
    await under_test.jobs.park(await held(under_test, job_id), wait())
    older, newer = await under_test.requested()
    for holder in (None, "worker-2"):
        if holder:
            assert isinstance(await claim(under_test, job_id, holder, sent_at=newer), Claim)
        refused = await claim(under_test, job_id, "worker-3", sent_at=older)
        assert isinstance(refused, Refused)
        assert refused.reason is Refusal.SUPERSEDED
    again = await claim(under_test, job_id, "worker-2", sent_at=newer)
    assert isinstance(again, Claim)


async def test_the_first_message_of_a_job_is_taken_whatever_the_clock_of_its_sender(under_test):
    job_id = await under_test.submit()
    [sent_at] = await under_test.requested()
    assert isinstance(await claim(under_test, job_id, sent_at=sent_at - timedelta(hours=1)), Claim)
