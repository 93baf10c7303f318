"""Client of the standard health service that every stage has."""

from __future__ import annotations

from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_TIMEOUT_S = 2.0


class HealthClient:
    """Checks whether one service takes calls."""

    def __init__(self, channel: grpc.aio.Channel, service: str) -> None:
        self._stub: Any = health_pb2_grpc.HealthStub(channel)
        self._service = service

    async def is_serving(self) -> bool:
        """True if the service is ready. Raises the kit's errors where it does not answer."""
        answer = await self._stub.Check(health_pb2.HealthCheckRequest(service=self._service), timeout=_TIMEOUT_S)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
