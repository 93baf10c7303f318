"""The gateway while the network to its database is broken: a typed error in time, and work again afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from onevoice_kit.db import transaction
from onevoice_kit.testing.tcp_proxy import TcpProxy
from onevoice_kit.testing.waiting import eventually
from tests.integration.gateway.conftest import (
    Gateway,
    User,
    add_video,
    assert_problem,
    database_url,
    gateway,
    migrated_url,
)
from tests.support.rig import through

__all__ = ["database_url", "gateway", "migrated_url"]  # fixtures of the gateway's own tests

FAULTS: dict[str, Callable[[TcpProxy], None]] = {
    "down": TcpProxy.refuse,
    "stalled": TcpProxy.stall,
    "half-open": TcpProxy.half_open,
}
PRICE = 124
"""A video of 61.2 seconds, in two languages."""
WANTED = {"target_languages": ["es", "ca"]}


@pytest.fixture
def options(database_url: str, database_proxy: TcpProxy) -> dict[str, Any]:
    """The gateway reaches its database through the proxy, and has little patience."""
    return {
        "database_url": SecretStr(through(database_url, database_proxy.port)),
        "database_connect_timeout_s": 0.5,
        "database_answer_timeout_s": 1.0,
        "database_pool_size": 3,
    }


@pytest.mark.parametrize("fault", FAULTS)
async def test_requests_are_refused_while_the_database_is_out_of_reach(
    fault: str, gateway: Gateway, database_proxy: TcpProxy
) -> None:
    user = await gateway.user("ada@example.com")
    video = await add_video(user)
    FAULTS[fault](database_proxy)
    for _ in range(2):
        assert_problem(await user.client.get("/api/jobs"), 503, "database_unavailable")
    submitted = await user.client.post(f"/api/videos/{video['id']}/dub", json=WANTED)
    assert_problem(submitted, 503, "database_unavailable")
    assert (await user.client.get("/readyz")).status_code == 503
    database_proxy.heal()

    async def works() -> bool:
        return (await user.client.get("/api/jobs")).status_code == 200

    await eventually(works)
    job = await user.client.post(f"/api/videos/{video['id']}/dub", json=WANTED)
    assert job.status_code == 202, job.text


async def test_events_go_on_after_the_connection_to_the_database_was_lost(
    gateway: Gateway, database_proxy: TcpProxy
) -> None:
    user = await gateway.user("ada@example.com")
    video = await add_video(user)
    job = (await user.client.post(f"/api/videos/{video['id']}/dub", json=WANTED)).json()
    database_proxy.reset()
    cancelled = await user.client.post(f"/api/jobs/{job['id']}/cancel")
    assert cancelled.status_code == 202, cancelled.text
    events = await user.client.get(f"/api/jobs/{job['id']}/events")
    assert "job.cancelled" in events.text


async def _submit(user: User, video: dict[str, Any]) -> httpx.Response:
    headers = {"Idempotency-Key": '"once"'}
    return await user.client.post(f"/api/videos/{video['id']}/dub", json=WANTED, headers=headers)


async def _jobs(gateway: Gateway) -> int:
    async with transaction(gateway.database) as connection:
        return int((await connection.execute(text("SELECT count(*) FROM jobs.jobs"))).scalar_one())


@pytest.mark.parametrize("fault", ["reset before the commit", "answer to the commit lost"])
async def test_a_submission_whose_writing_is_disturbed_makes_one_job_when_repeated(
    fault: str, gateway: Gateway, database_proxy: TcpProxy
) -> None:
    user = await gateway.user("ada@example.com")
    video = await add_video(user)
    lost = fault == "answer to the commit lost"
    hold = database_proxy.hold(b"INSERT INTO jobs.outbox")
    submitting = asyncio.create_task(_submit(user, video))
    await eventually(hold.caught.is_set)
    if lost:
        database_proxy.cut(pattern=b"COMMIT;")
    else:
        database_proxy.reset()
    hold.release()
    assert_problem(await submitting, 503, "database_unavailable")
    assert await _jobs(gateway) == (1 if lost else 0)
    assert (await gateway.credits(user))[1] == (PRICE if lost else 0)
    again = await _submit(user, video)
    assert again.status_code == 202, again.text
    assert await _jobs(gateway) == 1
    assert (await gateway.credits(user))[1] == PRICE
