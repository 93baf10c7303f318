"""The same on SQS: killed orchestrators, and a relay killed between sending and noting that it has sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from onevoice_kit.queue.sqs import SqsQueue
from onevoice_kit.testing.waiting import eventually
from onevoice_local.aws import REGION, Aws
from tests.integration.crash.conftest import PATIENCE_S, World, Worlds
from tests.integration.crash.outcome import Outcome, outcome
from tests.integration.crash.points import Point
from tests.integration.crash.runs import disturbed, undisturbed

POINTS = [
    Point("dubbed", effect, side)
    for effect, side in (
        ("queue.receive", "after"),
        ("queue.extend", "after"),
        ("jobs.claim", "after"),
        ("store.finish_steps[mix:*]", "after"),
        ("billing.settle", "after"),
        ("queue.delete", "before"),
        ("queue.delete", "after"),
    )
]


def become_visible(aws: Aws) -> None:
    """Ends the visibility timeouts, by the clock of the stand-in, which has no other hands than these."""
    from moto.sqs.models import sqs_backends

    account = aws.queue_url.split("/")[-2]
    queue = sqs_backends[account][REGION].queues[aws.queue_url.rpartition("/")[2]]
    for message in queue._messages:
        message.visible_at = 0


def environment(aws: Aws) -> dict[str, str]:
    """
    Jobs come by SQS; objects stay in a folder. A process receives one message at a time, with a short wait: a message
    that is handed to a process killed while it waits stays hidden from all.
    """
    polls = {"WORKER_MAX_JOBS": "1", "SQS_WAIT_TIME_SECONDS": "1"}
    return {**aws.environment(), "STORAGE_BACKEND": "file", **polls}


@asynccontextmanager
async def on_sqs(worlds: Worlds, aws: Aws) -> AsyncIterator[World]:
    """A world with a queue and its relay."""
    async with worlds() as world:
        world.environment |= environment(aws)
        world.become_visible = lambda: become_visible(aws)
        await world.start("relay")
        yield world


async def empty(aws: Aws) -> bool:
    """Returns True where no message is in the queue, not even a hidden one."""
    queue = SqsQueue(aws.queue_settings())
    try:
        depth = await queue.depth()
    finally:
        await queue.close()
    return not depth.visible and not depth.in_flight


@pytest.fixture(scope="module")
def known() -> list[Outcome]:
    return []


@pytest.fixture
async def reference(worlds: Worlds, aws: Aws, known: list[Outcome]) -> Outcome:
    """The outcome of the job when no process dies."""
    if not known:
        async with on_sqs(worlds, aws) as world:
            known.append((await undisturbed(world, "dubbed")).outcome)
    return known[0]


@pytest.mark.parametrize("point", POINTS, ids=str)
async def test_after_a_kill_another_process_gets_the_message_and_ends_the_job(
    reference: Outcome, worlds: Worlds, aws: Aws, point: Point
) -> None:
    async with on_sqs(worlds, aws) as world:
        assert await disturbed(world, point) == reference
        await eventually(lambda: empty(aws), PATIENCE_S)


@pytest.mark.parametrize("point", ["sqs.send:before", "sqs.send:after"])
async def test_a_relay_that_dies_sends_again_and_the_job_is_done_once(
    reference: Outcome, worlds: Worlds, aws: Aws, point: str
) -> None:
    async with worlds() as world:
        world.environment |= environment(aws)
        await world.submit()
        doomed = await world.start("relay", die_at=point)
        await doomed.child.ended()
        assert doomed.passed[-1] == point
        survivor = await world.start("relay")
        await world.start()
        await eventually(lambda: "sqs.send:after" in survivor.passed, PATIENCE_S)
        await world.until_over()
        await eventually(lambda: empty(aws), PATIENCE_S)
        assert await outcome(world) == reference
