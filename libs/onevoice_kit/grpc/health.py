"""The standard health service (grpc.health.v1), with readiness apart from liveness."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_Status = health_pb2.HealthCheckResponse


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # it ships no types
    """
    Service `""` is liveness: SERVING as long as the process answers. Each full service name is readiness.

    Unlike the one that comes with grpcio, watches end when the server drains, so that they do not hold it up.
    """

    def __init__(self, services: Sequence[str]) -> None:
        self._services = frozenset(services)
        self._ready = self._closed = False
        self._changed = asyncio.Condition()

    async def set_ready(self, ready: bool) -> None:
        """Reports the services as serving or not; without effect once closed."""
        async with self._changed:
            self._ready = ready and not self._closed
            self._changed.notify_all()

    async def close(self) -> None:
        """NOT_SERVING for good; watchers get it and their streams end."""
        self._closed = True
        await self.set_ready(False)

    def _status(self, service: str) -> Any:
        if service == "":
            return _Status.SERVING
        if service not in self._services:
            return _Status.SERVICE_UNKNOWN
        return _Status.SERVING if self._ready else _Status.NOT_SERVING

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """The status now; NOT_FOUND for a name that is not served."""
        status = self._status(request.service)
        if status == _Status.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "There is no such service here.")
        return _Status(status=status)

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802, ARG002 - gRPC's signature
        """The status now and whenever it changes."""
        sent: Any = None
        while True:
            status = self._status(request.service)
            if status != sent:
                yield _Status(status=status)
                sent = status
            if self._closed and self._status(request.service) == sent:
                return  # only now: the server may have closed while the last status was sent
            async with self._changed:
                await self._changed.wait_for(lambda: self._closed or self._status(request.service) != sent)  # noqa: B023
