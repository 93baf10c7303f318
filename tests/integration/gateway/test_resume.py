"""Resuming failed and cancelled jobs: reserved anew, once, and never charged twice."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import select, text, update

from onevoice_jobs.leases import Claim, claim
from onevoice_jobs.models import jobs, outbox
from onevoice_jobs.postgres_store import PostgresJobStore
from onevoice_jobs.records import JobError, Published
from onevoice_jobs.testing import finish_step
from onevoice_kit.db import transaction, uuid7
from services.gateway.accounts import Right
from services.gateway.create_user import create_user
from services.gateway.idempotency import repository
from services.gateway.idempotency.repository import idempotency_keys
from services.gateway.idempotency.service import CreatingCall
from services.gateway.jobs.runs import RESUME_JOB
from tests.integration.gateway import working
from tests.integration.gateway.conftest import FREE_CREDITS, Gateway, User, assert_problem
from tests.integration.gateway.test_jobs import SECONDS, count, dub

KEY = {"Idempotency-Key": "resume-once"}
FULL, RESERVED = (FREE_CREDITS, 0), (FREE_CREDITS - SECONDS, SECONDS)


async def failed(gateway: Gateway, user: User) -> str:
    job = await dub(user, ["es"])
    await working.fail(gateway, job["id"], "engine_failed")
    assert await gateway.credits(user) == FULL
    return str(job["id"])


async def reservation(gateway: Gateway, job_id: str) -> str:
    """Under which id the worker that claims the job finds its credits."""
    claimed = await claim(gateway.database, UUID(job_id), "worker")
    assert isinstance(claimed, Claim)
    return claimed.job.reservation


async def test_a_failed_job_becomes_pending_with_a_new_reservation_and_a_new_message(
    gateway: Gateway, ada: User
) -> None:
    job_id = await failed(gateway, ada)
    response = await ada.client.post(f"/api/jobs/{job_id}/resume")
    job = response.json()
    assert (response.status_code, job["status"], job["error"], job["spent_credits"]) == (202, "pending", None, None)
    assert await gateway.credits(ada) == RESERVED
    assert await count(gateway, outbox) == 2
    reserved = await reservation(gateway, job_id)
    assert reserved != job_id
    assert (await gateway.ledger.settle(reserved, 10)).spent == 10
    assert await gateway.credits(ada) == (FREE_CREDITS - 10, 0)


async def test_a_cancelled_job_resumes_too_and_may_be_cancelled_again(gateway: Gateway, ada: User) -> None:
    job = await dub(ada, ["es"])
    for _ in range(2):
        assert (await ada.client.post(f"/api/jobs/{job['id']}/cancel")).json()["status"] == "cancelled"
        assert await gateway.credits(ada) == FULL
        assert (await ada.client.post(f"/api/jobs/{job['id']}/resume")).status_code == 202
        assert await gateway.credits(ada) == RESERVED


async def test_a_job_that_runs_or_is_done_cannot_be_resumed(gateway: Gateway, ada: User) -> None:
    job = await dub(ada, ["es"])
    assert_problem(await ada.client.post(f"/api/jobs/{job['id']}/resume"), 409, "invalid_transition")
    assert await gateway.credits(ada) == RESERVED
    await working.finish(gateway, ada, job["id"])
    assert_problem(await ada.client.post(f"/api/jobs/{job['id']}/resume"), 409, "invalid_transition")


async def test_without_credits_a_job_is_not_resumed_now_but_later(gateway: Gateway, ada: User) -> None:
    job_id = await failed(gateway, ada)
    await gateway.ledger.reserve(str(ada.id), "elsewhere", FREE_CREDITS)
    assert_problem(await ada.client.post(f"/api/jobs/{job_id}/resume"), 402, "insufficient_credits")
    assert (await ada.client.get(f"/api/jobs/{job_id}")).json()["status"] == "failed"
    await gateway.ledger.release("elsewhere")
    assert (await ada.client.post(f"/api/jobs/{job_id}/resume")).status_code == 202


async def test_resumed_by_many_calls_at_once_it_runs_once_and_is_reserved_once(gateway: Gateway, ada: User) -> None:
    job_id = await failed(gateway, ada)
    answers = await asyncio.gather(*(ada.client.post(f"/api/jobs/{job_id}/resume") for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409, 409, 409]
    assert await gateway.credits(ada) == RESERVED
    assert await count(gateway, outbox) == 2


async def test_a_repeated_resume_gets_the_first_answer(gateway: Gateway, ada: User) -> None:
    job_id = await failed(gateway, ada)
    first = await ada.client.post(f"/api/jobs/{job_id}/resume", headers=KEY)
    again = await ada.client.post(f"/api/jobs/{job_id}/resume", headers=KEY)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    other = await ada.client.post(f"/api/jobs/{uuid7()}/resume", headers=KEY)
    assert_problem(other, 422, "idempotency_key_reused")


async def test_a_resume_that_fails_in_the_database_gives_the_credits_back(gateway: Gateway, ada: User) -> None:
    job_id = await failed(gateway, ada)
    async with transaction(gateway.database) as connection:
        await connection.execute(text("ALTER TABLE jobs.outbox ADD CONSTRAINT full_up CHECK (body = '') NOT VALID"))
    response = await ada.client.post(f"/api/jobs/{job_id}/resume")
    async with transaction(gateway.database) as connection:
        await connection.execute(text("ALTER TABLE jobs.outbox DROP CONSTRAINT full_up"))
    assert_problem(response, 500, "internal")
    assert await gateway.credits(ada) == FULL
    assert (await ada.client.post(f"/api/jobs/{job_id}/resume")).status_code == 202


async def test_what_a_dead_resume_had_reserved_is_given_back(gateway: Gateway, ada: User) -> None:
    record = CreatingCall(ada.id, "died", RESUME_JOB, {}).record()
    async with transaction(gateway.database) as connection:
        await repository.insert_running(connection, record, gateway.idempotency.running_for)
        await connection.execute(update(idempotency_keys).values(running_until=text("now() - interval '1 second'")))
    await gateway.ledger.reserve(str(ada.id), str(record.resource_id), 100)
    await gateway.idempotency.housekeeping()
    assert await gateway.credits(ada) == FULL


async def test_a_job_that_was_settled_before_it_failed_for_good_is_not_paid_twice(gateway: Gateway, ada: User) -> None:
    job = await dub(ada, ["es"])
    store = await working.take(gateway, job["id"])
    await gateway.ledger.settle(job["id"], 40)
    await store.job_failed(JobError("too_many_attempts", "Too often."), spent_credits=40)
    assert (await ada.client.post(f"/api/jobs/{job['id']}/resume")).status_code == 202
    assert await gateway.credits(ada) == (FREE_CREDITS - 40, 0)
    assert await reservation(gateway, job["id"]) == job["id"]


async def test_a_job_whose_worker_settled_and_died_is_not_cancelled_any_more(gateway: Gateway, ada: User) -> None:
    job = await dub(ada, ["es"])
    claimed = await claim(gateway.database, UUID(job["id"]), "dies", ttl_s=0)
    assert isinstance(claimed, Claim)
    await finish_step(PostgresJobStore(gateway.database, claimed.lease), "pay", "hash", {}, Published(payment=True))
    await gateway.ledger.settle(job["id"], 40)
    for _ in range(2):
        answer = (await ada.client.post(f"/api/jobs/{job['id']}/cancel")).json()
        assert (answer["status"], answer["cancel_requested"], answer["spent_credits"]) == ("processing", True, None)
    assert await gateway.credits(ada) == (FREE_CREDITS - 40, 0)


async def test_a_job_whose_video_is_gone_cannot_be_resumed(gateway: Gateway, ada: User) -> None:
    job_id = await failed(gateway, ada)
    video_id = (await ada.client.get(f"/api/jobs/{job_id}")).json()["video_id"]
    assert (await ada.client.delete(f"/api/videos/{video_id}")).is_success
    assert_problem(await ada.client.post(f"/api/jobs/{job_id}/resume"), 409, "video_gone")
    assert await gateway.credits(ada) == FULL


async def test_another_users_job_cannot_be_resumed(gateway: Gateway, ada: User, bob: User) -> None:
    job_id = await failed(gateway, ada)
    assert_problem(await bob.client.post(f"/api/jobs/{job_id}/resume"), 404, "job_not_found")


async def test_a_job_holds_the_address_for_the_mail_about_its_end(gateway: Gateway, ada: User) -> None:
    await dub(ada, ["es"])
    async with transaction(gateway.database) as connection:
        assert (await connection.execute(select(jobs.c.notify_email))).scalar_one() == "ada@example.com"


@pytest.mark.parametrize(("priority", "value"), [("low", -10), ("normal", 0), ("high", 10)])
async def test_a_job_is_queued_with_its_priority_and_resumed_with_it(
    gateway: Gateway, ada: User, priority: str, value: int
) -> None:
    await create_user(gateway.settings, "ada@example.com", "", "second", [Right.HIGH_PRIORITY])
    job = await dub(ada, ["es"], priority=priority)
    await working.fail(gateway, job["id"], "engine_failed")
    assert (await ada.client.post(f"/api/jobs/{job['id']}/resume")).status_code == 202
    async with transaction(gateway.database) as connection:
        assert list((await connection.execute(select(outbox.c.priority))).scalars()) == [value, value]
