"""The contract of every job engine: submission, cancel, resume, sweep, and the notifications of an end."""

from __future__ import annotations

import pytest

from onevoice_jobs.leases import LeaseLost, Verdict
from onevoice_jobs.records import Published
from onevoice_jobs.states import JobStatus, LanguageStatus
from onevoice_jobs.testing import completed, finish_step
from onevoice_kit.db import uuid7
from onevoice_kit.errors import Conflict, NotFound
from tests.contract.jobs.cases import FAILURE, claimed, types


async def test_a_submitted_job_is_pending_announced_and_queued(under_test):
    job_id = await under_test.submit(priority=10)
    job = await under_test.job(job_id)
    assert (job.status, job.attempts, job.lease_epoch, job.quoted_credits) == (JobStatus.PENDING, 0, 0, 120)
    assert (job.deadline_at - job.created_at).total_seconds() == pytest.approx(24 * 3600, abs=5)
    (event,) = await under_test.events(job_id)
    assert (event.id, event.type, event.data) == (1, "job.created", {"languages": ["es", "ca"]})
    assert await under_test.sent() == [(job_id, "1", 10)]
    assert [task.status for task in await under_test.languages(job_id)] == [LanguageStatus.PENDING] * 2


async def test_a_job_without_a_live_worker_is_cancelled_at_once_and_its_old_worker_fenced_off(under_test, take):
    job_id = await under_test.submit()
    zombie = await take(job_id, ttl_s=0)
    assert [await under_test.cancel(job_id), await under_test.cancel(job_id)] == [JobStatus.CANCELLED] * 2
    assert (await under_test.job(job_id)).spent_credits == 0
    assert {task.status for task in await under_test.languages(job_id)} == {LanguageStatus.CANCELLED}
    assert await types(under_test, job_id) == ["job.created", "job.started", "job.cancelled"]
    with pytest.raises(LeaseLost):
        await zombie.job_completed(spent_credits=1, metrics={})
    with pytest.raises(LeaseLost):
        await under_test.jobs.renew(zombie.lease, ttl_s=60)
    with pytest.raises(NotFound):
        await under_test.cancel(job_id, uuid7())


async def test_a_job_cancelled_at_once_sends_one_message_so_that_a_worker_releases_its_credits(under_test):
    job_id = await under_test.submit()
    assert [await under_test.cancel(job_id), await under_test.cancel(job_id)] == [JobStatus.CANCELLED] * 2
    assert await types(under_test, job_id) == ["job.created", "job.cancelled"]
    assert [sent[0] for sent in await under_test.sent()] == [job_id] * 2


@pytest.mark.parametrize("end", [JobStatus.COMPLETED, JobStatus.FAILED])
async def test_a_job_that_has_ended_cannot_be_cancelled(under_test, take, end):
    job_id = await under_test.submit()
    store = await take(job_id)
    await (store.job_failed(FAILURE) if end is JobStatus.FAILED else store.job_completed(spent_credits=1, metrics={}))
    with pytest.raises(Conflict) as error:
        await under_test.cancel(job_id)
    assert error.value.reason == "invalid_transition"


async def test_a_job_that_may_be_paid_for_is_left_to_the_next_worker_which_can_deliver_it(under_test, take):
    job_id = await under_test.submit()
    await finish_step(await take(job_id, ttl_s=0), "pay", "hash", {"value": 1}, Published(payment=True))
    assert [await under_test.cancel(job_id), await under_test.cancel(job_id)] == [JobStatus.PROCESSING] * 2
    assert (await under_test.job(job_id)).cancel_requested_at is not None
    taken = await claimed(under_test, job_id, "worker-2")
    assert taken.verdict is Verdict.CANCEL
    await under_test.jobs.store(taken.lease).job_completed(spent_credits=1, metrics={})
    assert (await types(under_test, job_id))[2:] == ["job.cancel_requested", "job.completed"]


async def test_a_resumed_job_that_may_be_paid_for_can_be_delivered_although_it_is_cancelled(under_test, take):
    job_id = await under_test.submit()
    store = await take(job_id)
    await finish_step(store, "pay", "hash", {"value": 1}, Published(payment=True))
    await store.job_failed(FAILURE, spent_credits=1)
    await under_test.resume(job_id)
    assert await under_test.cancel(job_id) is JobStatus.PENDING
    taken = await claimed(under_test, job_id, "worker-2")
    assert (taken.verdict, taken.job.status) == (Verdict.CANCEL, JobStatus.PROCESSING)
    await under_test.jobs.store(taken.lease).job_completed(spent_credits=1, metrics={})
    events = ["job.failed", "job.resumed", "job.cancel_requested", "job.started", "job.completed"]
    assert (await types(under_test, job_id))[2:] == events


async def test_a_job_whose_last_steps_are_yet_to_be_done_is_cancelled_at_once(under_test, take):
    job_id = await under_test.submit()
    store = await take(job_id, ttl_s=0)
    await finish_step(store, "report", "hash", {"value": 1})
    assert await under_test.cancel(job_id) is JobStatus.CANCELLED


async def test_a_job_in_work_gets_one_request_to_cancel(under_test, take):
    job_id = await under_test.submit()
    store = await take(job_id)
    assert [await under_test.cancel(job_id), await under_test.cancel(job_id)] == [JobStatus.PROCESSING] * 2
    assert await store.cancel_requested()
    await store.job_cancelled()
    assert (await types(under_test, job_id))[2:] == ["job.cancel_requested", "job.cancelled"]
    assert await under_test.cancel(job_id) is JobStatus.CANCELLED


async def test_a_cancelled_job_whose_worker_died_is_claimed_to_be_cancelled(under_test):
    job_id = await under_test.submit()
    first = await claimed(under_test, job_id)
    await under_test.cancel(job_id)
    await under_test.jobs.renew(first.lease, ttl_s=0)
    second = await claimed(under_test, job_id, "worker-2")
    assert second.verdict is Verdict.CANCEL
    await under_test.jobs.store(second.lease).job_cancelled()
    assert (await under_test.job(job_id)).status is JobStatus.CANCELLED


async def test_a_failed_job_resumes_after_its_last_good_step(under_test, take):
    job_id = await under_test.submit()
    store = await take(job_id)
    await finish_step(store, "asr:0", "hash", {"words": 3})
    await finish_step(store, "done:ca", "h", {}, completed("ca", {}))
    with pytest.raises(Conflict) as error:
        await under_test.resume(job_id)
    assert error.value.reason == "invalid_transition"
    await store.job_failed(FAILURE)
    await under_test.resume(job_id, "again")
    job, languages = await under_test.job(job_id), await under_test.languages(job_id)
    assert (job.status, job.attempts, job.error, job.spent_credits) == (JobStatus.PENDING, 0, None, None)
    assert (job.resumes, job.reservation) == (1, "again")
    assert [task.status.value for task in languages] == ["pending", "completed"]
    assert (await types(under_test, job_id))[-1] == "job.resumed"
    assert [sent[0] for sent in await under_test.sent()] == [job_id] * 2
    assert set(await (await take(job_id)).completed_steps()) == {"asr:0", "done:ca"}


async def test_open_jobs_that_no_worker_holds_get_another_message(under_test, take):
    lost, held, crashed, done = [await under_test.submit() for _ in range(4)]
    await take(held)
    await take(crashed, ttl_s=0)
    await (await take(done)).job_failed(FAILURE)
    assert await under_test.requeue_stuck(older_than_s=60) == []
    assert await under_test.requeue_stuck(older_than_s=0, limit=1) == [lost]
    assert set(await under_test.requeue_stuck(older_than_s=0)) == {lost, crashed}
    assert (await under_test.sent())[-1] in {(lost, "1", 0), (crashed, "2", 0)}


async def test_each_end_is_notified_once_for_each_run(under_test, take):
    job_id = await under_test.submit(notify_email="owner@example.org")
    await (await take(job_id)).job_failed(FAILURE)
    await under_test.resume(job_id)
    await (await take(job_id)).job_completed(spent_credits=1, metrics={})
    written = await under_test.notifications()
    assert {key: (kind, recipient) for key, (kind, recipient, _) in written.items()} == {
        f"mail:{job_id}:failed": ("mail", "owner@example.org"),
        f"alert:{job_id}:failed": ("alert", ""),
        f"mail:{job_id}:completed:1": ("mail", "owner@example.org"),
    }
    assert written[f"alert:{job_id}:failed"][2]["error"]["reason"] == "engine_failed"


async def test_a_cancelled_job_sends_no_notification(under_test, take):
    await (await take(await under_test.submit(notify_email="owner@example.org"))).job_cancelled()
    assert await under_test.notifications() == {}


async def test_late_jobs_that_no_worker_holds_are_overdue(under_test, take):
    late, held, _, done = [await under_test.submit(deadline_s=seconds) for seconds in (0, 0, 60, 0)]
    await take(held)
    await (await take(done)).job_failed(FAILURE)
    assert await under_test.overdue() == [late]
