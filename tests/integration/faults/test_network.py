"""A network that breaks between the orchestrator and what it needs: a job still ends right once it works again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from onevoice_jobs.models import outbox
from onevoice_kit.queue.relay import OutboxRelay
from onevoice_kit.queue.sqs import SqsQueue
from onevoice_kit.settings import ClientSettings
from onevoice_kit.storage.s3 import S3Storage
from onevoice_kit.testing.tcp_proxy import TcpProxy, tcp, tcp_proxy
from onevoice_kit.testing.waiting import eventually
from onevoice_local.aws import Aws
from tests.support.moments import at, some_moment
from tests.support.outcomes import assert_completed_once
from tests.support.rig import Rig, through
from tests.support.rig import rig as new_rig

IMPATIENT: dict[str, float] = {"aws_connect_timeout_s": 0.5, "aws_read_timeout_s": 1.5, "aws_max_attempts": 2}


def _slow(proxy: TcpProxy) -> None:
    proxy.latency_s = 0.03


FAULTS: dict[str, Callable[[TcpProxy, random.Random], object]] = {
    "slow": lambda proxy, _: _slow(proxy),
    "reset": lambda proxy, _: proxy.reset(),
    "down": lambda proxy, _: proxy.refuse(),
    "stalled": lambda proxy, _: proxy.stall(),
    "half-open": lambda proxy, _: proxy.half_open(),
    "cut": lambda proxy, chance: proxy.cut(after_bytes=chance.randint(1, 60), times=chance.randint(1, 3)),
}


async def breaks(proxy: TcpProxy, fault: str, rig: Rig, seed: str) -> None:
    """At a moment chosen by the seed the network breaks, and works again a little later."""
    chance = random.Random(seed)
    method, number = some_moment(chance)
    broken = at(rig.script, method, number, lambda: FAULTS[fault](proxy, chance))
    async with asyncio.timeout(30):
        await broken.wait()
    await asyncio.sleep(chance.uniform(0.1, 0.6))  # how long it lasts
    proxy.heal()


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_job_survives_the_network_to_the_database(
    fault: str, rig: Rig, database_url: str, database_proxy: TcpProxy
) -> None:
    job_id = await rig.submit()
    async with rig.worker(database_url=through(database_url, database_proxy.port)):
        await breaks(database_proxy, fault, rig, f"database {fault}")
        await rig.until_over(job_id)
    await assert_completed_once(rig, job_id)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_job_survives_the_network_to_the_stages(fault: str, rig: Rig) -> None:
    host, _, port = rig.stages_address.partition(":")
    client = ClientSettings(grpc_client_keepalive_s=10, grpc_client_keepalive_timeout_s=0.5)
    job_id = await rig.submit()
    async with tcp_proxy(tcp(host, int(port))) as proxy, rig.worker(stages_address=proxy.address, client=client):
        await breaks(proxy, fault, rig, f"stages {fault}")
        await rig.until_over(job_id)
    await assert_completed_once(rig, job_id)


@asynccontextmanager
async def _s3(aws: Aws, proxy: TcpProxy | None) -> AsyncIterator[S3Storage]:
    settings = aws.storage_settings()
    if proxy is not None:
        settings = settings.model_copy(update={"aws_endpoint_url": f"http://{proxy.address}", **IMPATIENT})
    storage = S3Storage(settings)
    try:
        yield storage
    finally:
        await storage.close()


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_job_survives_the_network_to_the_store(
    fault: str, database_url: str, tmp_path: Path, aws: Aws, aws_proxy: TcpProxy
) -> None:
    async with (
        _s3(aws, None) as storage,
        _s3(aws, aws_proxy) as broken,
        new_rig(database_url, storage, tmp_path) as rig,
    ):
        job_id = await rig.submit()
        async with rig.worker(storage=broken):
            await breaks(aws_proxy, fault, rig, f"store {fault}")
            await rig.until_over(job_id)
        await assert_completed_once(rig, job_id)


@asynccontextmanager
async def relayed(rig: Rig, sender: SqsQueue) -> AsyncIterator[None]:
    """The gateway's relay, for the length of the block."""
    relay = OutboxRelay(rig.engine, outbox, sender, poll_s=0.2, min_pause_s=0.1, max_pause_s=0.2)
    running = asyncio.create_task(relay.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def _sqs(aws: Aws, proxy: TcpProxy | None = None) -> AsyncIterator[SqsQueue]:
    settings = aws.queue_settings()
    if proxy is not None:
        settings = settings.model_copy(update={"aws_endpoint_url": f"http://{proxy.address}", **IMPATIENT})
    queue = SqsQueue(settings, visibility_s=2)
    try:
        yield queue
    finally:
        await queue.close()


async def _until_empty(queue: SqsQueue) -> None:
    async def empty() -> bool:
        depth = await queue.depth()
        return depth.visible == depth.in_flight == 0

    await eventually(empty, 60, interval=0.1)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_job_survives_the_network_to_the_queue(fault: str, rig: Rig, aws: Aws, aws_proxy: TcpProxy) -> None:
    job_id = await rig.submit()
    async with (
        _sqs(aws) as look,
        _sqs(aws, aws_proxy) as sender,
        _sqs(aws, aws_proxy) as queue,
        relayed(rig, sender),
        rig.worker(queue=queue, worker_lease_s=2.0, worker_renew_s=0.3),
    ):
        await breaks(aws_proxy, fault, rig, f"queue {fault}")
        await rig.until_over(job_id)
        await _until_empty(look)
    await assert_completed_once(rig, job_id)


@pytest.mark.parametrize("action", ["SendMessageBatch", "ReceiveMessage", "ChangeMessageVisibility", "DeleteMessage"])
async def test_an_answer_of_the_queue_that_is_lost_changes_nothing(
    action: str, rig: Rig, aws: Aws, aws_proxy: TcpProxy
) -> None:
    cut = aws_proxy.cut(pattern=f"AmazonSQS.{action}".encode(), times=2)
    job_ids = [await rig.submit() for _ in range(3)]
    async with (
        _sqs(aws) as look,
        _sqs(aws, aws_proxy) as sender,
        _sqs(aws, aws_proxy) as queue,
        relayed(rig, sender),
        rig.worker(queue=queue, worker_lease_s=2.0),
        rig.worker(queue=queue, worker_lease_s=2.0),
    ):
        await rig.until_over(*job_ids)
        await _until_empty(look)
    assert cut.happened.is_set()
    for job_id in job_ids:
        await assert_completed_once(rig, job_id, jobs=3)
