"""Puts the application together and serves it: routes, errors, what surrounds every request, the OpenAPI page."""

from __future__ import annotations

import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.routing import APIRoute

from services.gateway import docs, errors
from services.gateway.billing import router as billing
from services.gateway.catalogue.router import router as catalogue
from services.gateway.estimates import router as estimates
from services.gateway.jobs.events import EventStreams
from services.gateway.jobs.one_call import router as dubbing_jobs
from services.gateway.jobs.results import router as results
from services.gateway.jobs.router import router as jobs
from services.gateway.middleware import Authentication, BodyLimit, BodyRule, RequestContext
from services.gateway.monitoring import HEALTH_PATH
from services.gateway.monitoring import router as monitoring
from services.gateway.objects import router as objects
from services.gateway.server import ConnectionLimits, bounded_protocol
from services.gateway.settings import GatewaySettings
from services.gateway.uploads.router import router as uploads
from services.gateway.users import router as users
from services.gateway.videos.router import router as videos
from services.gateway.wiring import open_parts

_FORM_OVERHEAD_BYTES = 1 << 20


def create_app(settings: GatewaySettings) -> FastAPI:
    """The application; its parts are opened when it starts and closed when it stops."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_parts(settings) as app.state.parts:
            yield

    app = FastAPI(
        title="OneVoice",
        version="1.0.0",
        summary="Video dubbing",
        description=docs.DESCRIPTION,
        openapi_tags=docs.TAGS,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,  # such a redirect takes its address from the client's `Host`
        generate_unique_id_function=_operation_id,
        separate_input_output_schemas=False,
    )
    # Each router has its whole prefix: metrics and logs name the template of the route as it stands there.
    routers = (users, uploads, videos, jobs, results, dubbing_jobs, catalogue, billing, estimates, monitoring, objects)
    for router in routers:
        app.include_router(router)
    errors.install(app, [route for router in routers for route in router.routes])
    docs.install(app)
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, rule_of=_body_rules(settings), in_flight=settings.max_json_bytes_in_flight)
    app.add_middleware(Authentication, open_paths=[HEALTH_PATH])
    app.add_middleware(RequestContext)
    return app


def _operation_id(route: APIRoute) -> str:
    """The function's name: what a generated client calls the operation."""
    return route.name


def _body_rules(settings: GatewaySettings) -> Callable[[str], BodyRule]:
    json_rule = BodyRule(settings.max_json_bytes, "body_too_large", in_memory=True)
    object_rule = BodyRule(settings.max_upload_bytes, "file_too_large")
    form_rule = BodyRule(settings.max_upload_bytes + _FORM_OVERHEAD_BYTES, "file_too_large")

    def rule_of(path: str) -> BodyRule:
        if path.startswith("/storage/"):
            return object_rule
        return form_rule if path == "/api/dubbing-jobs" else json_rule

    return rule_of


class Server(uvicorn.Server):
    """Ends the event streams first when it shuts down: they would hold it up until the grace is over."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes no new requests, lets the running ones end, then closes everything."""
        parts = getattr(getattr(self.config.app, "state", None), "parts", {})
        if EventStreams in parts:
            parts[EventStreams].close()
        await super().shutdown(sockets)


def run(app: Any, settings: GatewaySettings) -> None:
    """Serves the application until SIGTERM or SIGINT."""
    limits = ConnectionLimits(
        connections=settings.http_max_connections,
        header_s=settings.http_header_timeout_s,
        body_window_s=settings.http_body_window_s,
        body_bytes_per_s=settings.http_body_min_bytes_per_s,
        write_s=settings.http_write_timeout_s,
    )
    config = uvicorn.Config(
        app,
        host=settings.http_host,
        port=settings.http_port,
        http=bounded_protocol(limits),
        log_config=None,
        access_log=False,  # the middleware writes one with ids and times
        server_header=False,
        timeout_graceful_shutdown=settings.http_shutdown_grace_s,
        timeout_keep_alive=30,
    )
    for stop in (signal.SIGTERM, signal.SIGINT):
        # After a graceful shutdown uvicorn raises the signal again; the exit code is to be 0.
        signal.signal(stop, lambda *_: None)
    gc.freeze()  # what is there by now stays: the collector need not go through it again and again
    Server(config).run()
