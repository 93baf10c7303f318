"""The service as the process it is in production."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from onevoice.asr.v1 import asr_service_pb2, asr_service_pb2_grpc
from onevoice_kit.errors import Unavailable
from onevoice_kit.grpc.client import connect
from onevoice_kit.testing.waiting import eventually

pytestmark = pytest.mark.xdist_group("asr-engines")
ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
async def process(tmp_path):
    """`python -m services.asr` with one worker, and its port."""
    port = free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'libs'}:{ROOT / 'gen'}",
        "GRPC_HOST": "127.0.0.1",
        "GRPC_PORT": str(port),
        "STORAGE_DIR": str(tmp_path),
        "ASR_WORKERS": "1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.asr", env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    yield process, port
    if process.returncode is None:
        process.kill()
        await process.wait()


async def test_it_becomes_healthy_works_and_leaves_no_process(process):
    running, port = process
    channel = connect(f"127.0.0.1:{port}")
    health = health_pb2_grpc.HealthStub(channel)

    async def serving():
        try:
            request = health_pb2.HealthCheckRequest(service="onevoice.asr.v1.AsrService")
            return (await health.Check(request, timeout=5)).status == health_pb2.HealthCheckResponse.SERVING
        except Unavailable:
            return False

    await eventually(serving)
    stub = asr_service_pb2_grpc.AsrServiceStub(channel)
    assert (await stub.ListEngines(asr_service_pb2.ListEnginesRequest(), timeout=10)).transcription[0].available
    children = await eventually(lambda: psutil.Process(running.pid).children(recursive=True))
    await channel.close(None)

    running.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(running.wait(), 30) == 0
    await eventually(lambda: not any(child.is_running() and child.status() != "zombie" for child in children))
