"""A claim with a lost reply is repeated and finds the lease that it was granted; other deliveries do not."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from onevoice_jobs.leases import Claim, LeaseLost, Refusal, Refused
from onevoice_jobs.submit import NewJob
from onevoice_jobs.testing import MemoryJobs
from onevoice_kit.errors import Conflict, Unavailable
from onevoice_kit.storage.base import ObjectRef
from services.orchestrator.claiming import Claims
from services.orchestrator.settings import OrchestratorSettings

JOB = UUID(int=1)
SOURCE = ObjectRef("file:///original.mp4", "a" * 64, 1, "video/mp4")


class Hurried(random.Random):
    """Never waits."""

    def uniform(self, a: float, b: float) -> float:
        return 0.0


class Flaky(MemoryJobs):
    """Executes each call, and then raises the errors in `ahead`, one per call."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead: list[Exception] = []
        self.owners: list[str] = []

    async def claim(self, job_id: UUID, owner: str, **named: Any) -> Claim | Refused:
        self.owners.append(owner)
        answer = await super().claim(job_id, owner, **named)
        self._lose()
        return answer

    async def give_back(self, *args: Any, **named: Any) -> None:
        await super().give_back(*args, **named)
        self._lose()

    def _lose(self) -> None:
        if self.ahead:
            raise self.ahead.pop()


@pytest.fixture
def jobs() -> Flaky:
    jobs = Flaky()
    jobs.submit(NewJob(UUID(int=2), UUID(int=3), SOURCE, "talk.mp4", ("es",), 1_000, 1), JOB)
    return jobs


@pytest.fixture
def claims(jobs: Flaky, tmp_path: Path) -> Claims:
    settings = OrchestratorSettings(database_url=SecretStr("postgresql://nowhere"), storage_dir=tmp_path)
    return Claims(jobs, settings, "worker-1", Hurried())


async def test_a_claim_whose_answers_are_lost_is_one_attempt(jobs: Flaky, claims: Claims) -> None:
    jobs.ahead = [Unavailable()] * 3
    claimed = await claims.claim(JOB)
    assert isinstance(claimed, Claim)
    assert (claimed.job.attempts, claimed.lease.epoch, len(jobs.owners)) == (1, 1, 4)
    assert len(set(jobs.owners)) == 1
    assert jobs.owners[0].startswith("worker-1/")


async def test_a_second_delivery_to_the_same_worker_is_refused(claims: Claims) -> None:
    assert isinstance(await claims.claim(JOB), Claim)
    second = await claims.claim(JOB)
    assert isinstance(second, Refused)
    assert second.reason is Refusal.HELD


async def test_a_claim_is_given_up_when_the_next_pause_is_longer_than_the_budget(jobs: Flaky, claims: Claims) -> None:
    jobs.ahead = [Unavailable(retry_after=60.0)]
    with pytest.raises(Unavailable):
        await claims.claim(JOB)
    assert len(jobs.owners) == 1


async def test_a_call_that_a_repetition_cannot_change_is_not_repeated(jobs: Flaky, claims: Claims) -> None:
    jobs.ahead = [Conflict()]
    with pytest.raises(Conflict):
        await claims.claim(JOB)
    assert len(jobs.owners) == 1


@pytest.mark.parametrize(("counted", "attempts"), [(True, 2), (False, 1)])
async def test_a_return_whose_answer_is_lost_happens_once(
    jobs: Flaky, claims: Claims, counted: bool, attempts: int
) -> None:
    first = await claims.claim(JOB)
    assert isinstance(first, Claim)
    jobs.ahead = [Unavailable()]
    await claims.give_back(first.lease, count_attempt=counted)
    with pytest.raises(LeaseLost):
        await jobs.renew(first.lease, ttl_s=1)
    second = await claims.claim(JOB)
    assert isinstance(second, Claim)
    assert second.job.attempts == attempts
