"""The sweeper: what fell between comes back or ends, however many sweepers there are."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, func, select, update

from onevoice_jobs import control
from onevoice_jobs.leases import Claim, claim
from onevoice_jobs.models import jobs, outbox, workers
from onevoice_jobs.service import PostgresJobs
from onevoice_jobs.states import JobStatus
from onevoice_jobs.workers import heartbeat, list_workers
from onevoice_kit.db import transaction
from onevoice_kit.errors import Busy
from onevoice_kit.testing.waiting import eventually
from services.orchestrator.endings import Endings
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.sweeper import Sweeper
from tests.support.instant_stages import Script, fails


@pytest.fixture
def sweeper(deployment) -> Sweeper:
    return _sweeper(deployment, stuck_after_s=0.0)


def _sweeper(deployment, *, stuck_after_s: float) -> Sweeper:
    settings = deployment.settings.model_copy(update={"sweep_stuck_after_s": stuck_after_s, "sweep_interval_s": 0.01})
    endings = Endings(deployment.stages, deployment.storage)
    jobs, billing = PostgresJobs(deployment.engine), deployment.stages.billing
    return Sweeper(deployment.engine, jobs, endings, billing, settings, owner="sweeper-1")


async def _execute(deployment, statement) -> None:
    async with transaction(deployment.engine) as connection:
        await connection.execute(statement)


async def _messages(deployment) -> int:
    async with transaction(deployment.engine) as connection:
        return (await connection.execute(select(func.count()).select_from(outbox))).scalar_one()


async def _pass_deadline(deployment) -> None:
    await _execute(deployment, update(jobs).values(deadline_at=func.now()))


async def test_a_job_whose_message_was_lost_is_worked_on_after_all(deployment, sweeper: Sweeper) -> None:
    job_id = await deployment.submit()
    await _execute(deployment, delete(outbox))
    sweeping = asyncio.create_task(sweeper.run())
    async with deployment.worker():
        job = await deployment.ended(job_id)
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)
    assert job.status is JobStatus.COMPLETED


async def test_a_job_whose_message_still_waits_gets_no_second_one(deployment, sweeper: Sweeper) -> None:
    await deployment.submit()
    assert (await sweeper.sweep()).requeued == ()
    assert await _messages(deployment) == 1


async def test_a_job_whose_message_is_a_dead_letter_gets_a_new_one(deployment, sweeper: Sweeper) -> None:
    job_id = await deployment.submit()
    (delivery,) = await deployment.queue.receive(wait_s=5)
    await deployment.queue.dead_letter(delivery, "received_too_often")
    assert (await sweeper.sweep()).requeued == (job_id,)


async def test_many_sweepers_send_one_message(deployment) -> None:
    """A message that another sweeper has just sent is too recent to be lost; an age of 0 s would not show that."""
    sweeper = _sweeper(deployment, stuck_after_s=60.0)
    await deployment.submit()
    await _execute(deployment, delete(outbox))
    await _execute(deployment, update(jobs).values(enqueued_at=func.now() - timedelta(hours=1)))
    rounds = await asyncio.gather(*(sweeper.sweep() for _ in range(4)))
    assert sum(len(found.requeued) for found in rounds) == 1
    assert await _messages(deployment) == 1


async def test_an_overdue_job_without_a_worker_fails_once_and_its_credits_come_back(
    deployment, sweeper: Sweeper, script: Script
) -> None:
    job_id = await deployment.submit()
    await _pass_deadline(deployment)
    rounds = await asyncio.gather(*(sweeper.sweep() for _ in range(4)))
    job = await deployment.job(job_id)
    assert (job.status, job.error and job.error.reason) == (JobStatus.FAILED, "job_overdue")
    assert sum(len(found.overdue) for found in rounds) == 1
    assert [event.type for event in await deployment.events(job_id)] == ["job.created", "job.failed"]
    assert script.count("Release") == 1


async def test_the_message_of_a_job_that_was_swept_away_is_deleted(deployment, sweeper: Sweeper) -> None:
    await deployment.submit()
    await _pass_deadline(deployment)
    await sweeper.sweep()

    async def empty() -> bool:
        return await _messages(deployment) == 0

    async with deployment.worker():
        await eventually(empty)
    assert await _messages(deployment) == 0


async def test_a_job_cancelled_while_its_message_is_a_dead_letter_gets_its_credits_back_from_a_worker(
    deployment, script: Script
) -> None:
    job_id = await deployment.submit()
    (delivery,) = await deployment.queue.receive(wait_s=5)
    await deployment.queue.dead_letter(delivery, "received_too_often")
    async with transaction(deployment.engine) as connection:
        await control.request_cancel(connection, deployment.user_id, job_id)
    async with deployment.worker():
        await eventually(lambda: [request.reservation_id for request in script.requests("Release")] == [str(job_id)])
    assert (await deployment.job(job_id)).status is JobStatus.CANCELLED


async def test_credits_are_given_back_under_which_no_job_runs_and_no_others(
    deployment, sweeper: Sweeper, script: Script
) -> None:
    waiting, cancelled, resumed = [await deployment.submit() for _ in range(3)]
    async with transaction(deployment.engine) as connection:
        await control.request_cancel(connection, deployment.user_id, cancelled)
        await control.request_cancel(connection, deployment.user_id, resumed)
        await control.resume_job(connection, deployment.user_id, resumed, reservation_id="second")
    script.reserved = [str(waiting), str(cancelled), str(resumed), "second", "never-came-to-be"]
    unused = (str(cancelled), str(resumed), "never-came-to-be")
    assert (await sweeper.sweep()).released == unused
    assert [request.reservation_id for request in script.requests("Release")] == list(unused)
    (asked,) = script.requests("ListOpenReservations")
    assert asked.min_age_s == OrchestratorSettings.model_fields["sweep_reservations_after_s"].default


async def test_jobs_are_swept_also_while_billing_is_away(deployment, sweeper: Sweeper, script: Script) -> None:
    job_id = await deployment.submit()
    await _execute(deployment, delete(outbox))
    script.faults["ListOpenReservations"] = fails(Busy("Billing is full.", reason="billing_full"))
    swept = await sweeper.sweep()
    assert (swept.requeued, swept.released) == ((job_id,), ())


async def test_an_overdue_job_in_work_is_left_to_its_worker(deployment, sweeper: Sweeper) -> None:
    job_id = await deployment.submit()
    assert isinstance(await claim(deployment.engine, job_id, "worker-1"), Claim)
    await _pass_deadline(deployment)
    assert (await sweeper.sweep()).overdue == ()
    assert (await deployment.job(job_id)).status is JobStatus.PROCESSING


async def test_an_overdue_job_that_was_to_be_cancelled_is_cancelled(deployment, sweeper: Sweeper) -> None:
    job_id = await deployment.submit()
    assert isinstance(await claim(deployment.engine, job_id, "worker-1"), Claim)
    async with transaction(deployment.engine) as connection:
        await control.request_cancel(connection, deployment.user_id, job_id)
    await _execute(deployment, update(jobs).values(lease_until=func.now(), deadline_at=func.now()))
    assert (await sweeper.sweep()).overdue == (job_id,)
    assert (await deployment.job(job_id)).status is JobStatus.CANCELLED


async def test_a_late_job_that_is_resumed_before_the_sweeper_claims_it_goes_on(
    deployment, sweeper: Sweeper, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await deployment.submit()

    async def late_a_moment_ago(_: Sweeper) -> list[UUID]:
        return [job_id]

    monkeypatch.setattr(Sweeper, "_overdue", late_a_moment_ago)
    assert (await sweeper.sweep()).overdue == ()
    assert script.count("Release") == 0
    async with deployment.worker():
        job = await deployment.ended(job_id)
    assert (job.status, job.attempts) == (JobStatus.COMPLETED, 1)


async def test_workers_that_are_long_dead_are_forgotten(deployment, sweeper: Sweeper) -> None:
    for worker in ("dead", "alive"):
        await heartbeat(deployment.engine, worker, service="orchestrator", version="1", slots=1, busy=0)
    long_ago = func.now() - func.make_interval(0, 0, 0, 2)
    await _execute(deployment, update(workers).where(workers.c.id == "dead").values(seen_at=long_ago))
    assert (await sweeper.sweep()).forgotten_workers == 1
    assert [worker.id for worker in await list_workers(deployment.engine)] == ["alive"]


async def test_a_sweep_that_fails_is_tried_again(deployment, sweeper: Sweeper, script: Script) -> None:
    job_id = await deployment.submit()
    await _pass_deadline(deployment)
    left = [RuntimeError("once")]
    script.faults["Release"] = lambda _: left.pop() if left else None  # type: ignore[assignment,return-value]
    sweeping = asyncio.create_task(sweeper.run())
    # The lease of the failed attempt is given up at once here; a real one runs out.
    await eventually(lambda: not left)
    await _execute(deployment, update(jobs).values(lease_until=func.now()))
    job = await deployment.ended(job_id)
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)
    assert job.status is JobStatus.FAILED
