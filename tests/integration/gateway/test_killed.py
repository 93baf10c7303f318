"""A gateway killed while it takes a job: credits and keys are free again, or the job is there, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import delete, func, select, text, update

from onevoice_jobs.models import jobs, outbox
from onevoice_kit.db import transaction
from onevoice_kit.testing.waiting import eventually
from services.gateway.idempotency.repository import idempotency_keys
from services.gateway.wiring import SERVICE_NAMES
from tests.integration.gateway.conftest import FREE_CREDITS, Gateway, User, add_video, answers, assert_problem
from tests.integration.gateway.test_process import free_port
from tests.support.crash_points import read_log
from tests.support.zygote import Zygote

COST = 62
KEY = {"Idempotency-Key": "a-key-of-the-client"}
BODY = {"target_languages": ["es"]}


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    zygote = Zygote("tests.support.crashing_gateway")
    yield zygote
    zygote.close()


async def send_to_one_that_dies(zygote: Zygote, gateway: Gateway, user: User, path: str, at: str, folder: Path) -> None:
    """Sends the call to a gateway process that dies at a point of it."""
    settings, port = gateway.settings, free_port()
    environment = {
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "STORAGE_DIR": str(settings.storage_dir),
        "STORAGE_SIGNING_KEY": "a key for tests",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": str(port),
        **{f"{name.upper()}_ADDRESS": getattr(settings, f"{name}_address") for name in SERVICE_NAMES},
    }
    log, url = folder / "points", f"http://127.0.0.1:{port}"
    child = await zygote.start(folder / "output", environment, log=str(log), die_at=at)
    try:
        await eventually(lambda: answers(f"{url}/healthz"), 120)
        async with httpx.AsyncClient(base_url=url, timeout=120) as client:
            with pytest.raises(httpx.TransportError):
                await client.post(path, json=BODY, headers={**KEY, "Authorization": f"Bearer {user.key}"})
        await child.ended()
    finally:
        await child.kill()
    assert read_log(log)[-1] == at, child.output.read_text()


async def housekeeping_after_a_while(gateway: Gateway) -> None:
    """Cleans up as the other gateways do once a call has run longer than any may."""
    async with transaction(gateway.database) as connection:
        await connection.execute(update(idempotency_keys).values(running_until=text("now() - interval '1 second'")))
    await gateway.idempotency.housekeeping()


async def count(gateway: Gateway) -> tuple[int, int]:
    """Jobs and messages there are."""
    async with transaction(gateway.database) as connection:
        found = [
            (await connection.execute(select(func.count()).select_from(table))).scalar_one() for table in (jobs, outbox)
        ]
    return found[0], found[1]


@pytest.mark.parametrize(
    ("at", "reserved"),
    [
        ("billing.reserve:before", 0),
        ("billing.reserve:after", COST),
        ("insert_job:before", COST),
        ("insert_job:after", COST),
    ],
)
async def test_a_job_that_was_not_written_leaves_no_reservation_and_its_key_can_be_used_again(
    zygote: Zygote, gateway: Gateway, ada: User, tmp_path: Path, at: str, reserved: int
) -> None:
    path = f"/api/videos/{(await add_video(ada))['id']}/dub"
    await send_to_one_that_dies(zygote, gateway, ada, path, at, tmp_path)
    assert await gateway.credits(ada) == (FREE_CREDITS - reserved, reserved)
    assert_problem(await ada.client.post(path, json=BODY, headers=KEY), 409, "request_in_progress")

    await housekeeping_after_a_while(gateway)
    assert await gateway.credits(ada) == (FREE_CREDITS, 0)
    assert await count(gateway) == (0, 0)

    again = await ada.client.post(path, json=BODY, headers=KEY)
    assert again.status_code == 202
    assert await gateway.credits(ada) == (FREE_CREDITS - COST, COST)
    assert await count(gateway) == (1, 1)


async def test_a_job_that_was_written_and_not_answered_is_answered_to_the_same_call_again(
    zygote: Zygote, gateway: Gateway, ada: User, tmp_path: Path
) -> None:
    path = f"/api/videos/{(await add_video(ada))['id']}/dub"
    await send_to_one_that_dies(zygote, gateway, ada, path, "submission.submit:after", tmp_path)
    await housekeeping_after_a_while(gateway)
    again = await ada.client.post(path, json=BODY, headers=KEY)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (202, "true")
    assert (await ada.client.get(f"/api/jobs/{again.json()['id']}")).json()["status"] == "pending"
    assert await gateway.credits(ada) == (FREE_CREDITS - COST, COST)
    assert await count(gateway) == (1, 1)


async def test_a_gateway_that_cancels_and_dies_before_it_releases_leaves_a_message_for_a_worker(
    zygote: Zygote, gateway: Gateway, ada: User, tmp_path: Path
) -> None:
    job = (await ada.client.post(f"/api/videos/{(await add_video(ada))['id']}/dub", json=BODY)).json()
    async with transaction(gateway.database) as connection:
        await connection.execute(delete(outbox))  # lost, or a dead letter
    path = f"/api/jobs/{job['id']}/cancel"
    await send_to_one_that_dies(zygote, gateway, ada, path, "billing.release:before", tmp_path)
    assert (await ada.client.get(f"/api/jobs/{job['id']}")).json()["status"] == "cancelled"
    assert await gateway.credits(ada) == (FREE_CREDITS - COST, COST)
    async with transaction(gateway.database) as connection:
        named = (await connection.execute(select(outbox.c.attributes["jobId"].astext))).scalars().all()
    assert named == [job["id"]]
