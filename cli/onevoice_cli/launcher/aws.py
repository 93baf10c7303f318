"""The stand-in for AWS behind `onevoice up --aws`: a moto server as a child process, with bucket and queues.

All its state is in the memory of that process.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping

from onevoice_cli.launcher.health import http_ready
from onevoice_cli.launcher.process import ServiceSpec
from onevoice_local.aws import AwsServer

NAME = "onevoice"
"""Of the bucket and the queue."""
VISIBILITY_TIMEOUT_S = 900
MAX_RECEIVES = 5
"""Receipts of one message before it goes to the dead-letter queue."""


def aws_spec(port: int) -> ServiceSpec:
    """The moto server. Not restarted: its end takes every object and message with it."""
    return ServiceSpec(
        name="aws",
        argv=(sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)),
        env=dict(os.environ),
        ready=http_ready(f"{_url(port)}/moto-api/data.json"),
        stop_order=3,
        restart=False,
    )


async def create_resources(port: int, *, max_receives: int = MAX_RECEIVES) -> Mapping[str, str]:
    """Makes bucket, queue and dead-letter queue; returns the settings that point services at them."""
    server = AwsServer(_url(port))
    made = await asyncio.to_thread(server.create, NAME, visibility_s=VISIBILITY_TIMEOUT_S, max_receives=max_receives)
    return made.environment() | {
        "SQS_VISIBILITY_TIMEOUT": str(VISIBILITY_TIMEOUT_S),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"
