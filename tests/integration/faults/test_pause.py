"""A worker that is stopped past its lease and goes on later: what it still does changes nothing."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from onevoice_kit.storage.file import FileStorage
from onevoice_kit.testing.tcp_proxy import TcpProxy
from onevoice_kit.testing.waiting import eventually
from tests.support.answers import LateAnswer
from tests.support.outcomes import assert_completed_once, rows_of
from tests.support.rig import Rig, through
from tests.support.rig import rig as new_rig
from tests.support.zygote import Child, Zygote

LEASE_S = 1.5


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """The process from which the others are forked."""
    zygote = Zygote("tests.support.crashing_processes")
    yield zygote
    zygote.close()


@asynccontextmanager
async def orchestrator(rig: Rig, zygote: Zygote, folder: Path, database_url: str) -> AsyncIterator[Child]:
    """A process of its own; killed at the end of the block."""
    environment = {
        "DATABASE_URL": database_url,
        "STORAGE_DIR": str(rig.settings.storage_dir),
        "GRPC_HOST": "127.0.0.1",
        "GRPC_PORT": "0",
        "WORKER_LEASE_S": str(LEASE_S),
        "WORKER_RENEW_S": "0.3",
        # Locks of a transaction in whose middle the process is stopped are free again after twice this. A held write
        # must wait less: its time begins with its preparation.
        "DATABASE_STATEMENT_TIMEOUT_MS": "5000",
        **{f"{name}_ADDRESS": rig.stages_address for name in ("ASR", "TRANSLATE", "TTS", "MIXER", "BILLING")},
    }
    request = {"role": "orchestrator", "log": str(folder / "points"), "die_at": "", "occurrence": 1, "hold": ()}
    child = await zygote.start(folder / "output", environment, **request)
    try:
        yield child
    finally:
        await child.kill()


@asynccontextmanager
async def stopped(child: Child) -> AsyncIterator[None]:
    """The process does not run within the block."""
    child.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        child.signal(signal.SIGCONT)


async def goes_on_with_another(rig: Rig, child: Child) -> None:
    """The worker has seen that its lease was lost, and does another job."""

    def seen() -> bool:
        output = child.output.read_text()
        return ": lost" in output or "LeaseLost" in output

    await eventually(seen)
    another = await rig.submit()
    await rig.until_over(another)
    await assert_completed_once(rig, another, jobs=2)


@pytest.mark.parametrize("method", ["Transcribe", "Mix", "Settle"])
async def test_a_worker_stopped_in_a_call_past_its_lease_writes_nothing_afterwards(
    method: str, zygote: Zygote, tmp_path: Path, database_url: str, file_storage: FileStorage
) -> None:
    late = LateAnswer(method)
    async with (
        new_rig(database_url, file_storage, tmp_path / "objects", late.wrap) as rig,
        orchestrator(rig, zygote, tmp_path, database_url) as child,
    ):
        job_id = await rig.submit()
        await eventually(late.kept.is_set)
        async with stopped(child):
            async with rig.worker(worker_lease_s=LEASE_S):
                await rig.until_over(job_id)
            await assert_completed_once(rig, job_id)
            before = await rows_of(rig, job_id)
            late.send.set()  # when it goes on, the answer it waited for is there
        await goes_on_with_another(rig, child)
        assert await rows_of(rig, job_id) == before


WRITES = {"checkpoint": b'{"value":', "artifacts": b'"captions_srt"', "end": b'"job.completed"'}


@pytest.mark.parametrize("what", WRITES)
async def test_a_write_that_arrives_after_the_lease_has_ended_changes_nothing(
    what: str, rig: Rig, zygote: Zygote, tmp_path: Path, database_url: str, database_proxy: TcpProxy
) -> None:
    hold = database_proxy.hold(WRITES[what])
    job_id = await rig.submit()
    slow = through(database_url, database_proxy.port)
    async with orchestrator(rig, zygote, tmp_path, slow) as child:
        await eventually(hold.caught.is_set)
        async with stopped(child):
            async with rig.worker(worker_lease_s=LEASE_S):
                await rig.until_over(job_id)
            before = await rows_of(rig, job_id)
            await assert_completed_once(rig, job_id)
            hold.release()
        await goes_on_with_another(rig, child)
        assert await rows_of(rig, job_id) == before
