"""The server every stage service runs in: health, limits, layers around calls, drain."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from onevoice_kit.errors import Internal, PreconditionFailed
from onevoice_kit.grpc import lifecycle
from onevoice_kit.grpc.health import Health
from onevoice_kit.grpc.identity import identification, is_loopback
from onevoice_kit.grpc.interceptors import (
    Access,
    Admission,
    Callers,
    access_log,
    deadlines,
    errors,
    metrics,
    parsing,
    traces,
)
from onevoice_kit.grpc.layers import Layer, Layers
from onevoice_kit.grpc.transport import MAX_MESSAGE_BYTES, MAX_METADATA_BYTES, server_credentials
from onevoice_kit.settings import GrpcServerSettings

_log = logging.getLogger(__name__)

_HEADROOM = 100
"""Calls above the limit that the transport still takes: to be refused with a wait, and for health checks."""

Register = Callable[[grpc.aio.Server], None]


async def serve(
    settings: GrpcServerSettings,
    name: str,
    register: Register,
    *,
    services: Mapping[str, Access],
    objects: Layer | None = None,
    background: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
    on_close: Sequence[Callable[[], Awaitable[None]]] = (),
) -> None:
    """
    Serves until SIGTERM or SIGINT, then drains: not ready, no new calls, running ones finish within the grace.

    `services` are those that `register` adds, by full name, with the callers of each method; a method that is missing
    there is refused. `objects` bounds the objects that requests may name (`objects.Objects`). `background` runs beside
    the server and is cancelled when the drain begins; one that fails ends the process with its error. `on_close` runs
    last, in reverse order.
    """
    server = GrpcServer(settings, name, register, services=services, objects=objects)
    await lifecycle.run(
        server.start,
        lambda: server.stop(settings.grpc_drain_grace_s),
        background,
        on_close,
        settings.grpc_drain_grace_s,
    )


class GrpcServer:
    """One server on one port. `start` and `stop` once each, in the same event loop."""

    def __init__(
        self,
        settings: GrpcServerSettings,
        name: str,
        register: Register,
        *,
        services: Mapping[str, Access],
        objects: Layer | None = None,
    ) -> None:
        """Arguments as those of `serve`."""
        self._settings = settings
        self._name = name
        self._register = register
        self._services = services
        self._objects = objects
        self._health = Health(tuple(services))
        self._server: grpc.aio.Server | None = None
        self._port = 0

    @property
    def address(self) -> str:
        """Its address for processes on this machine, `127.0.0.1:port`."""
        return f"127.0.0.1:{self._port}"

    async def start(self) -> int:
        """
        Listens, reports ready, and returns the port.

        Raises `PreconditionFailed` (reasons `callers_unidentified`, `secret_too_short`, `port_taken`,
        `tls_incomplete`, `tls_unreadable`).
        """
        self._server = self._build()
        self._port = self._bind(self._server)
        # Calls inherit the context of this task: none, so that no deadline or trace of the caller leaks into them.
        await asyncio.create_task(self._server.start(), context=contextvars.Context())
        await self._health.set_ready(True)
        _log.info("%s is ready", self._name, extra={"port": self._port})
        return self._port

    async def set_ready(self, ready: bool) -> None:
        """For services that are alive but cannot work for a while."""
        await self._health.set_ready(ready)

    async def stop(self, grace_s: float) -> None:
        """Reports not ready, refuses new calls, lets running calls finish for `grace_s`, then cancels them."""
        _log.info("%s is draining", self._name)
        await self._health.close()
        if self._server is None:
            raise Internal("The server was never started.", reason="server_not_started")
        await self._server.stop(grace_s)
        _log.info("%s has stopped", self._name)

    def _build(self) -> grpc.aio.Server:
        limit = self._settings.grpc_max_concurrent_rpcs
        identify = identification(self._settings)
        if identify is None:
            _log.warning("callers are not identified: every process of this machine may call %s", self._name)
        # Outermost first: every line below is in the trace; log and metrics see the code the error layer decides. A
        # caller without rights takes no place, and its request is not even parsed.
        around: list[Layer] = [traces, access_log, metrics, errors, Callers(identify, self._services)]
        around += [Admission(limit), deadlines, parsing]
        if self._objects is not None:
            around.append(self._objects)
        server = grpc.aio.server(
            interceptors=[Layers(around, [errors, parsing])],
            options=_options(self._settings),
            maximum_concurrent_rpcs=limit + _HEADROOM,
        )
        self._register(server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        development = self._settings.environment == "development" and is_loopback(self._settings.grpc_host)
        if self._settings.grpc_reflection and development:
            self._enable_reflection(server)
        return server

    def _enable_reflection(self, server: grpc.aio.Server) -> None:
        from grpc_reflection.v1alpha import reflection

        health = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        reflection.enable_server_reflection((*self._services, health, reflection.SERVICE_NAME), server)

    def _bind(self, server: grpc.aio.Server) -> int:
        address = f"{self._settings.grpc_host}:{self._settings.grpc_port}"
        credentials = server_credentials(self._settings)
        try:
            if credentials is None:
                return server.add_insecure_port(address)
            return server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise PreconditionFailed(f"{self._name} cannot listen on {address}.", reason="port_taken") from error


def _options(settings: GrpcServerSettings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.max_connection_age_ms", settings.grpc_max_connection_age_s * 1000),
        # Clients ping without data (see client.py); do not mistake that for abuse.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        # A second process on the port is a mistake that must not go unnoticed.
        ("grpc.so_reuseport", 0),
    ]
