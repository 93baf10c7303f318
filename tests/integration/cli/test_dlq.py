"""`onevoice dlq` as an operator runs it: by the services' settings, on the outbox and on SQS."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from io import StringIO

import pytest
from rich.console import Console

from onevoice_cli.dead_letters import Action, act, show
from onevoice_jobs.models import outbox
from onevoice_kit.db import transaction
from onevoice_kit.errors import InvalidInput
from onevoice_kit.queue.base import Message
from onevoice_kit.queue.outbox import OutboxQueue, enqueue
from onevoice_kit.queue.sqs import SqsQueue
from onevoice_local.aws import Aws
from onevoice_local.databases import PostgresDatabases
from tests.support.databases import migrated, opened

LETTER = Message('{"n": 1}', {"jobId": "the-job"}, "user-1")
_OURS = ("DATABASE_URL", "USE_SQS_TASK_QUEUE", "SQS_QUEUE_URL", "SQS_DLQ_URL")


@pytest.fixture
async def outbox_env(postgres: PostgresDatabases) -> AsyncIterator[Mapping[str, str]]:
    """Settings of a deployment whose outbox has a dead letter."""
    async with migrated(postgres, "jobs") as url, opened(url) as engine:
        async with transaction(engine) as connection:
            await enqueue(connection, outbox, LETTER)
        queue = OutboxQueue(engine, outbox, 30)
        (delivery,) = await queue.receive(wait_s=5)
        await queue.dead_letter(delivery, "unknown_job")
        await queue.close()
        yield {"DATABASE_URL": url, "USE_SQS_TASK_QUEUE": "false"}


@pytest.fixture
async def sqs_env(aws: Aws) -> Mapping[str, str]:
    """Settings of a deployment whose dead-letter queue has a letter."""
    queue = SqsQueue(aws.queue_settings())
    await queue.send([LETTER])
    (delivery,) = await queue.receive(wait_s=5)
    await queue.dead_letter(delivery, "unknown_job")
    await queue.close()
    return aws.environment()


@pytest.fixture(params=["outbox_env", "sqs_env"])
def env(request: pytest.FixtureRequest) -> Mapping[str, str]:
    found: Mapping[str, str] = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def in_env(env: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has the settings of the deployment."""
    for name in _OURS:
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)


async def listed() -> str:
    """The output of `onevoice dlq list`."""
    console = Console(width=200, file=StringIO(), record=True)
    await show(console, 100)
    return console.export_text()


@pytest.mark.usefixtures("in_env")
async def test_letters_are_listed_with_reason_and_job_and_redriven_by_id():
    line = next(line for line in (await listed()).splitlines() if "unknown_job" in line)
    assert "the-job" in line
    assert await act(Action.REDRIVE, [line.split()[0]], every=False) == 1
    assert await listed() == "There are no dead letters.\n"


@pytest.mark.usefixtures("in_env")
async def test_a_letter_that_is_not_there_is_an_error_and_all_are_dropped_on_request():
    with pytest.raises(InvalidInput) as caught:
        await act(Action.DROP, ["99999999"], every=False)
    assert caught.value.reason == "unknown_letter"
    assert await act(Action.DROP, [], every=True) == 1


@pytest.mark.parametrize(
    ("args", "reason"),
    [(("drop",), "nothing_chosen"), (("redrive", "1", "--all"), "nothing_chosen"), (("list",), "not_configured")],
)
def test_the_command_refuses_missing_arguments_or_settings_in_one_sentence(args: tuple[str, ...], reason: str):
    environment = {name: value for name, value in os.environ.items() if name not in _OURS}
    environment["PYTHONPATH"] = os.pathsep.join(entry for entry in sys.path if entry)
    command = [sys.executable, "-m", "onevoice_cli", "dlq", *args]
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (refused.returncode, reason in refused.stderr) == (2, True)
    assert len(refused.stderr.strip().splitlines()) == 1
