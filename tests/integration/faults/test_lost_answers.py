"""Answers that are lost after the effect: of stages, of billing, of the database."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from onevoice_jobs.leases import Claim, Refused, claim
from onevoice_jobs.states import JobStatus
from onevoice_kit.db import create_engine
from onevoice_kit.errors import InvalidInput, Unavailable
from onevoice_kit.settings import DatabaseSettings
from onevoice_kit.storage.file import FileStorage
from onevoice_kit.testing.tcp_proxy import TcpProxy
from onevoice_kit.testing.waiting import eventually
from tests.support.answers import LostAnswers, forgetful
from tests.support.instant_stages import fails
from tests.support.outcomes import assert_completed_once, assert_given_back_once
from tests.support.rig import Rig, rig, through

STAGES = {
    "Probe",
    "ListEngines",
    "ExtractAudio",
    "DetectSpeech",
    "Diarize",
    "Separate",
    "Transcribe",
    "Translate",
    "ListVoices",
    "Synthesize",
    "SynthesizeLines",
}
ENDING = {"Mix", "Mux", "Measure", "Thumbnail", "Quote", "Settle"}


async def test_a_lost_reply_of_every_call_costs_nothing(database_url: str, file_storage: FileStorage, tmp_path) -> None:
    answers = LostAnswers()
    async with rig(database_url, file_storage, tmp_path / "objects", answers.wrap) as alone:
        job_id = await alone.submit()
        async with alone.worker():
            await alone.until_over(job_id)
        assert set(answers.lost) == STAGES | ENDING
        await assert_completed_once(alone, job_id)


async def test_a_charge_whose_answer_never_comes_is_made_once(
    database_url: str, file_storage: FileStorage, tmp_path
) -> None:
    answers = LostAnswers(lambda method: method == "Settle", times=5)
    async with rig(database_url, file_storage, tmp_path / "objects", answers.wrap) as alone:
        job_id = await alone.submit()
        async with alone.worker():
            await alone.until_over(job_id)
        assert answers.lost["Settle"] == 5
        await assert_completed_once(alone, job_id)


async def test_credits_whose_return_is_not_confirmed_are_given_back_once(
    database_url: str, file_storage: FileStorage, tmp_path
) -> None:
    answers = LostAnswers(lambda method: method == "Release", times=2)
    async with rig(database_url, file_storage, tmp_path / "objects", answers.wrap) as alone:
        alone.script.faults["Probe"] = fails(InvalidInput("Not a video.", reason="unsupported_format"))
        job_id = await alone.submit()
        async with alone.worker(worker_lease_s=2.0):
            await alone.until_over(job_id)
        await assert_given_back_once(alone, job_id, JobStatus.FAILED)


@pytest.mark.parametrize("method", ["claim", "park"])
async def test_a_claim_or_a_return_whose_answer_is_lost_does_not_hold_the_job_up(method: str, rig: Rig) -> None:
    """The lease would last longer than the test does."""
    lost: list[str] = []
    left = [Unavailable("The mixer is down.", reason="mixer_down")]
    rig.script.faults["Probe"] = lambda _: left.pop() if left else None
    job_id = await rig.submit()
    changes: dict[str, Any] = {"worker_lease_s": 600.0, "worker_renew_s": 150.0, "worker_retry_budget_s": 0.0}
    async with rig.worker(wrap_jobs=lambda jobs: forgetful(jobs, method, lost), **changes):
        await rig.until_over(job_id)
    assert (lost, (await rig.job(job_id)).attempts) == ([method], 1)
    await assert_completed_once(rig, job_id)


async def test_a_claim_whose_commit_is_not_confirmed_finds_its_lease_when_it_is_made_again(
    rig: Rig, database_url: str, database_proxy: TcpProxy
) -> None:
    job_id = await rig.submit()
    settings = DatabaseSettings(database_url=SecretStr(through(database_url, database_proxy.port)))
    engine = create_engine(settings)
    cut = database_proxy.cut(pattern=b"COMMIT;")
    with pytest.raises(Unavailable):
        await claim(engine, job_id, "worker-1/a")
    other, again = await claim(engine, job_id, "worker-1/b"), await claim(engine, job_id, "worker-1/a")
    await engine.dispose()
    assert cut.happened.is_set()
    assert isinstance(other, Refused)
    assert isinstance(again, Claim)
    assert (again.lease.epoch, again.job.attempts) == (1, 1)
    assert [event.type for event in await rig.events(job_id)] == ["job.created", "job.started"]


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
async def test_an_end_whose_answer_is_lost_is_found_when_the_message_comes_again(end: str, rig: Rig) -> None:
    lost: list[str] = []
    if end == "failed":
        rig.script.faults["Probe"] = fails(InvalidInput("Not a video.", reason="unsupported_format"))
    elif end == "cancelled":
        rig.script.gates["Probe"] = asyncio.Event()
    job_id = await rig.submit()
    async with rig.worker(wrap_jobs=lambda jobs: forgetful(jobs, f"job_{end}", lost), worker_lease_s=2.0):
        if end == "cancelled":
            await eventually(lambda: rig.script.count("Probe") == 1)
            await rig.cancel(job_id)
        await rig.until_over(job_id)
    assert lost == [f"job_{end}"]
    if end == "completed":
        await assert_completed_once(rig, job_id)
    else:
        await assert_given_back_once(rig, job_id, JobStatus(end))


WRITES = {
    "claim or any other transaction": b"COMMIT;",
    "checkpoint": b'{"value":',
    "events": b'"line.ready"',
    "artifacts": b'"captions_srt"',
    "language": b'"language.completed"',
    "end": b'"job.completed"',
}


@pytest.mark.parametrize("what", WRITES)
async def test_a_write_whose_answer_is_lost_is_not_made_twice(
    what: str, rig: Rig, database_url: str, database_proxy: TcpProxy
) -> None:
    cut = database_proxy.cut(pattern=WRITES[what])
    job_id = await rig.submit()
    async with rig.worker(database_url=through(database_url, database_proxy.port), worker_lease_s=2.0):
        await rig.until_over(job_id)
    assert cut.happened.is_set()
    await assert_completed_once(rig, job_id)
