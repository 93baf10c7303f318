"""Whether a child answers: gRPC health for services, `/readyz` for the gateway, a plain GET for the AWS stand-in."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import httpx

from onevoice_cli.launcher.process import Ready

_TIMEOUT_S = 2.0


def grpc_ready(port: int) -> Ready:
    """True once the server on this port of 127.0.0.1 says SERVING for itself as a whole."""

    async def ready() -> bool:
        return await _listens(port) and await _serving(f"127.0.0.1:{port}")

    return ready


def http_ready(url: str) -> Ready:
    """True once a GET of `url` answers 200."""

    async def ready() -> bool:
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client:
                return (await client.get(url)).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    return ready


async def _listens(port: int) -> bool:
    """Asked first, because a gRPC channel that was refused once waits before it tries again."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), _TIMEOUT_S)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with suppress(OSError):  # the other side may reset it
        await writer.wait_closed()
    return True


async def _serving(address: str) -> bool:
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    async with grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_S, wait_for_ready=False
            )
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
