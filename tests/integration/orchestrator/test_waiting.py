"""Jobs whose stage is away wait for it, without a slot and without an attempt, and go on by themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select

from onevoice_jobs import control
from onevoice_jobs.leases import Claim
from onevoice_jobs.models import outbox
from onevoice_jobs.parking import Wait
from onevoice_jobs.service import PostgresJobs
from onevoice_jobs.states import JobStatus
from onevoice_kit.db import transaction
from onevoice_kit.errors import PreconditionFailed, Unavailable
from onevoice_kit.queue.outbox import OutboxQueue
from onevoice_kit.testing.waiting import eventually
from tests.support.instant_stages import Script, fails, only

SHORT_WAITS = {"worker_wait_min_s": 0.1, "worker_wait_max_s": 0.2, "worker_retry_budget_s": 0.2}
LONG_WAITS = SHORT_WAITS | {"worker_wait_min_s": 30.0, "worker_wait_max_s": 30.0}


async def messages(deployment) -> Sequence[Any]:
    """The messages left in the queue, dead letters included."""
    async with transaction(deployment.engine) as connection:
        return (await connection.execute(select(outbox.c.id, outbox.c.dead_reason))).all()


async def types(deployment, job_id: UUID) -> list[str]:
    return [event.type for event in await deployment.events(job_id)]


async def test_ten_jobs_wait_for_a_stage_that_is_away_while_others_are_done_and_then_complete(
    deployment, script: Script
) -> None:
    away, script.segments, spoken = True, 4, []

    def synthesize(request: Any) -> Unavailable | None:
        if away and request.language == "es":
            return Unavailable(reason="tts_down")
        spoken.append(request.output_prefix)
        return None

    script.faults["Synthesize"] = synthesize
    deployment.queue = OutboxQueue(deployment.engine, outbox, visibility_s=60, max_receives=2)
    waiting = [await deployment.submit(target_languages=("es",)) for _ in range(10)]

    async def tried_too_often_for_attempts_or_receives() -> bool:
        # Each claim and each end of a lease counts one.
        return all([(await deployment.job(job_id)).lease_epoch >= 2 * 3 for job_id in waiting])

    async with deployment.worker(worker_max_jobs=2, worker_max_attempts=2, **SHORT_WAITS):
        for job_id in waiting:
            await deployment.waiting(job_id)
        other = await deployment.ended(await deployment.submit(target_languages=("ca",)))
        await eventually(tried_too_often_for_attempts_or_receives, timeout=120)
        assert {(await deployment.job(job_id)).status for job_id in waiting} == {JobStatus.PROCESSING}
        away = False
        ended = [await deployment.ended(job_id) for job_id in waiting]

    assert other.status is JobStatus.COMPLETED
    assert {(job.status, job.attempts, job.spent_credits) for job in ended} == {(JobStatus.COMPLETED, 1, 8)}
    assert (script.count("Settle"), script.count("Release")) == (11, 0)
    assert sorted(Counter(spoken).values()) == [4] * 11
    assert (script.count("Mix"), script.count("Translate")) == (11, 11)
    waits = [(await types(deployment, job_id)).count("job.waiting") for job_id in waiting]
    # A job that runs while the stage comes back may have some lines spoken and others not: its wait begins anew.
    assert set(waits) <= {1, 2}
    assert waits.count(2) <= 2, "as many as run at a time"
    assert await messages(deployment) == []


async def test_a_job_that_waits_holds_no_slot(deployment, script: Script) -> None:
    script.faults["Synthesize"] = fails(Unavailable(reason="tts_down"), only(language="es"))
    waiting = await deployment.submit(target_languages=("es",))
    async with deployment.worker(worker_max_jobs=1, **LONG_WAITS):
        await deployment.waiting(waiting)
        other = await deployment.ended(await deployment.submit(target_languages=("ca",)))
        assert other.status is JobStatus.COMPLETED
        assert (await deployment.job(waiting)).stage == "waiting for tts"


async def test_a_job_that_waits_is_failed_at_its_deadline(deployment, script: Script) -> None:
    script.faults["Probe"] = fails(Unavailable("The mixer is down.", reason="mixer_down"))
    job_id = await deployment.submit(deadline_s=2.0)
    async with deployment.worker(**LONG_WAITS):
        job = await deployment.ended(job_id)
    assert (job.status, job.error and job.error.reason) == (JobStatus.FAILED, "job_overdue")
    assert script.count("Release") == 1


async def test_a_job_that_waits_is_cancelled_at_once(deployment, script: Script) -> None:
    script.faults["Synthesize"] = fails(Unavailable(reason="tts_down"))
    job_id = await deployment.submit()
    async with deployment.worker(**LONG_WAITS):
        await deployment.waiting(job_id)
        async with transaction(deployment.engine) as connection:
            assert await control.request_cancel(connection, deployment.user_id, job_id) is JobStatus.CANCELLED
        await eventually(lambda: script.count("Release") == 1)


async def test_a_job_whose_billing_is_away_at_its_end_waits_too(deployment, script: Script) -> None:
    script.faults["DetectSpeech"] = fails(PreconditionFailed("No speech.", reason="no_speech"))
    left = [Unavailable(reason="billing_down")] * 8
    script.faults["Release"] = lambda _: left.pop() if left else None
    job_id = await deployment.submit()
    async with deployment.worker(**SHORT_WAITS):
        job = await deployment.ended(job_id)
    assert (job.status, job.error and job.error.reason, job.attempts) == (JobStatus.FAILED, "no_speech", 1)


async def test_an_overdue_job_whose_billing_is_away_waits_for_it(deployment, script: Script) -> None:
    left = [Unavailable(reason="billing_down")] * 8
    script.faults["Release"] = lambda _: left.pop() if left else None
    job_id = await deployment.submit(deadline_s=-1.0)
    async with deployment.worker(**SHORT_WAITS):
        job = await deployment.ended(job_id)
    assert (job.error and job.error.reason, job.attempts) == ("job_overdue", 1)


async def test_of_two_messages_for_a_parked_job_the_older_one_is_dropped(deployment) -> None:
    """A worker killed between parking its job and deleting its message leaves both."""
    jobs, job_id = PostgresJobs(deployment.engine), await deployment.submit()
    [older] = await deployment.queue.receive(max_messages=1, wait_s=0)
    claimed = await jobs.claim(job_id, "killed", ttl_s=60, max_attempts=5)
    assert isinstance(claimed, Claim)
    await jobs.park(claimed.lease, Wait("tts", "tts_down", 3600, progressed=False))
    await deployment.queue.release(older)

    async def dropped() -> bool:
        return [left.id == int(older.id) for left in await messages(deployment)] == [False]

    async with deployment.worker():
        await eventually(dropped)
    assert (await deployment.job(job_id)).stage == "waiting for tts"
