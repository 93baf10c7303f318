"""The gateway and its command as processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from onevoice_kit.testing.waiting import eventually
from tests.integration.gateway.conftest import Gateway, User, answers
from tests.integration.gateway.serving import follow
from tests.integration.gateway.test_events import new_job

ROOT = Path(__file__).resolve().parents[3]


def environment(gateway: Gateway, **changes: str) -> Mapping[str, str]:
    """The settings of a second process beside the one in this test."""
    settings = gateway.settings
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("", "libs", "gen")),
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "STORAGE_DIR": str(settings.storage_dir),
        "STORAGE_SIGNING_KEY": "a key for tests",
        "HTTP_HOST": "127.0.0.1",
        "BILLING_ADDRESS": settings.billing_address,
        **changes,
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@asynccontextmanager
async def running(env: Mapping[str, str], *arguments: str) -> AsyncIterator[Process]:
    """A process that is gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=dict(env), cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_a_process_stops_in_good_order_with_an_event_stream_open(gateway: Gateway, ada: User) -> None:
    job_id, port = await new_job(ada), free_port()
    url = f"http://127.0.0.1:{port}"

    async with running(environment(gateway, HTTP_PORT=str(port)), "-m", "services.gateway") as process:
        await eventually(lambda: answers(f"{url}/readyz"), 60)
        async with follow(url, ada.key, job_id) as reader:
            first = await reader.next()
            assert first is not None
            process.send_signal(signal.SIGTERM)
            assert await reader.rest() == []
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert errors == b""
    lines = [json.loads(line) for line in output.splitlines()]
    assert {line["level"] for line in lines} == {"info"}
    assert {line["service"] for line in lines} == {"gateway"}


async def test_a_process_without_a_signing_key_does_not_start(gateway: Gateway) -> None:
    env = environment(gateway, STORAGE_SIGNING_KEY="", HTTP_PORT=str(free_port()))
    async with running(env, "-m", "services.gateway") as process:
        output, _ = await process.communicate()
    assert process.returncode != 0
    assert b"STORAGE_SIGNING_KEY is not set." in output


async def test_the_command_makes_a_user_with_a_key_that_works(gateway: Gateway) -> None:
    arguments = ("-m", "services.gateway.create_user", "--email", "new@example.com", "--name", "New")
    async with running(environment(gateway), *arguments) as process:
        output, _ = await process.communicate()
    made = json.loads(output)
    async with gateway.client(headers={"Authorization": f"Bearer {made['api_key']}"}) as client:
        assert (await client.get("/api/users/me")).json()["id"] == made["user_id"]


async def test_the_command_names_what_is_wrong(gateway: Gateway) -> None:
    async with running(environment(gateway), "-m", "services.gateway.create_user", "--email", "nobody") as process:
        _, errors = await process.communicate()
    assert process.returncode == 1
    assert errors.decode().strip() == "This is not an e-mail address."
