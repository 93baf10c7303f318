"""A service process from start to SIGTERM."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from onevoice.tts.v1 import tts_service_pb2, tts_service_pb2_grpc
from onevoice_kit.grpc.client import connect

SCRIPT = Path(__file__).with_name("stage_process.py")
IDLE_BUDGET_KB = 120 * 1024


class StageProcess:
    """The process and the log lines it has written so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []

    async def until(self, message: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        async for raw in self.process.stdout:
            self.lines.append(json.loads(raw))
            if self.lines[-1]["message"] == message:
                return self.lines[-1]
        raise AssertionError(f"the process ended without saying {message!r}: {self.lines}")


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[StageProcess]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SCRIPT),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
    )
    try:
        yield StageProcess(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def resident_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_the_process_and_closes_everything(number):
    async with started() as stage:
        port = (await stage.until("stage is ready"))["port"]
        async with connect(f"127.0.0.1:{port}") as channel:
            stub = tts_service_pb2_grpc.TtsServiceStub(channel)
            running = asyncio.ensure_future(stub.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=60))
            await asyncio.sleep(0)
            taken_up = await stage.until("taken up")
            stage.process.send_signal(number)
            assert (await running).voice == "finished"
        await stage.until("closed")
        code = await stage.process.wait()
    assert code == 0
    assert len(taken_up["trace_id"]) == 32
    assert "closing failed" in [line["message"] for line in stage.lines]


async def test_broken_background_work_ends_the_process_with_an_error():
    async with started("fail") as stage:
        await stage.until("closed")
        assert await stage.process.wait() == 1


async def test_an_idle_service_keeps_to_its_memory():
    async with started() as stage:
        await stage.until("stage is ready")
        assert resident_kb(stage.process.pid) < IDLE_BUDGET_KB
