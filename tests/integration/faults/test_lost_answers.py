"""Answers that are lost after the effect: of stages, of billing, of the database."""

from __future__ import annotations

import pytest

from onevoice_jobs.states import JobStatus
from onevoice_kit.errors import InvalidInput
from onevoice_kit.settings import ClientSettings
from onevoice_kit.storage.file import FileStorage
from onevoice_kit.testing.tcp_proxy import TcpProxy
from tests.support.answers import LostAnswers
from tests.support.instant_stages import fails
from tests.support.outcomes import assert_completed_once, assert_given_back_once
from tests.support.rig import Rig, rig, through

STAGES = {"Probe", "ExtractAudio", "DetectSpeech", "Diarize", "Transcribe", "Translate", "ListVoices", "Synthesize"}
ENDING = {"Mix", "Mux", "Thumbnail", "Quote", "Settle"}


@pytest.mark.parametrize("attempts", [1, 4], ids=["repeated by the step", "repeated by the client"])
async def test_a_lost_answer_of_every_call_costs_nothing(
    attempts: int, database_url: str, file_storage: FileStorage, tmp_path
) -> None:
    answers = LostAnswers()
    async with rig(database_url, file_storage, tmp_path / "objects", answers.wrap) as alone:
        job_id = await alone.submit()
        async with alone.worker(client=ClientSettings(grpc_client_max_attempts=attempts)):
            await alone.until_over(job_id)
        assert set(answers.lost) == STAGES | ENDING
        await assert_completed_once(alone, job_id)


async def test_a_charge_whose_answer_never_comes_is_made_once(
    database_url: str, file_storage: FileStorage, tmp_path
) -> None:
    answers = LostAnswers(lambda method: method == "Settle", times=5)
    async with rig(database_url, file_storage, tmp_path / "objects", answers.wrap) as alone:
        job_id = await alone.submit()
        async with alone.worker(client=ClientSettings(grpc_client_max_attempts=1)):
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
        async with alone.worker(client=ClientSettings(grpc_client_max_attempts=1), worker_lease_s=2.0):
            await alone.until_over(job_id)
        await assert_given_back_once(alone, job_id, JobStatus.FAILED)


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
