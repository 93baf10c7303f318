"""Renewals that are never answered: the lease is given up in time, and the message decides nothing."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from onevoice_jobs.models import jobs
from onevoice_jobs.states import JobStatus
from onevoice_kit.db import transaction
from onevoice_kit.queue.sqs import SqsQueue
from onevoice_kit.storage.file import FileStorage
from onevoice_kit.testing.tcp_proxy import TcpProxy
from onevoice_kit.testing.waiting import eventually
from onevoice_local.aws import Aws
from tests.support.answers import LateAnswer
from tests.support.outcomes import assert_completed_once
from tests.support.rig import Rig, through
from tests.support.rig import rig as new_rig

FOR_EVER_S = 600.0
QUICK: dict[str, Any] = {"worker_lease_s": 2.0, "worker_renew_s": 0.4}


async def _lease(rig: Rig, job_id: UUID) -> tuple[datetime, int]:
    """End of the job's lease, and the number of its claims."""
    async with transaction(rig.engine) as connection:
        statement = select(jobs.c.lease_until, jobs.c.lease_epoch).where(jobs.c.id == job_id)
        row = (await connection.execute(statement)).one()
    return row.lease_until, row.lease_epoch


async def test_a_worker_whose_renewals_are_not_answered_stops_its_work_and_another_does_it(
    database_url: str,
    database_proxy: TcpProxy,
    file_storage: FileStorage,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    late, slow = LateAnswer("Mix"), through(database_url, database_proxy.port)
    caplog.set_level(logging.INFO, "services.orchestrator.worker")
    async with new_rig(database_url, file_storage, tmp_path / "objects", late.wrap) as rig:
        job_id = await rig.submit()
        async with rig.worker(database_url=slow, database_answer_timeout_s=FOR_EVER_S, **QUICK):
            await eventually(late.kept.is_set)
            database_proxy.half_open()
            await eventually(lambda: f"{job_id}: lost" in caplog.text)
            async with rig.worker(**QUICK):
                await rig.until_over(job_id)
            database_proxy.reset()
        await assert_completed_once(rig, job_id)


async def test_a_job_goes_on_while_only_its_message_cannot_be_kept_hidden(
    database_url: str, file_storage: FileStorage, tmp_path: Path, aws: Aws, aws_proxy: TcpProxy
) -> None:
    late = LateAnswer("Mix")
    endpoint = {"aws_endpoint_url": f"http://{aws_proxy.address}", "aws_read_timeout_s": FOR_EVER_S}
    queue = SqsQueue(aws.queue_settings().model_copy(update=endpoint), visibility_s=2)
    async with new_rig(database_url, file_storage, tmp_path / "objects", late.wrap) as rig:
        job_id = await rig.submit()
        await rig.relay(SqsQueue(aws.queue_settings()))
        async with rig.worker(queue=queue, **QUICK):
            await eventually(late.kept.is_set)
            aws_proxy.half_open()
            (until, _), renewed = await _lease(rig, job_id), 0
            while renewed < 4:
                later, _ = await _lease(rig, job_id)
                renewed, until = renewed + (later > until), later
            late.send.set()

            async def completed() -> bool:
                return (await rig.job(job_id)).status is JobStatus.COMPLETED

            await eventually(completed)
            assert (await rig.job(job_id)).attempts == 1
            aws_proxy.heal()
            aws_proxy.reset()
        await assert_completed_once(rig, job_id)
