"""What surrounds every request: its id and trace, log line, metrics, security headers, and the limit of its body."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry.trace import SpanKind
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onevoice_kit.errors import OneVoiceError
from onevoice_kit.telemetry import names, trace
from onevoice_kit.telemetry.metrics import counter, gauge, histogram
from services.gateway.errors import BodyTooLarge, problem_response, too_large, unexpected

access = logging.getLogger("onevoice.access")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,128}")
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-site",
}
_NO_CONTENT_POLICY = "default-src 'none'; frame-ancestors 'none'"


@dataclass
class _Response:
    status: int = 0
    size: int = 0


class RequestContext:
    """The outermost layer: nothing that goes wrong inside leaves without an id, a log line and a problem."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        attributes = {"http.request.method": scope["method"], "url.path": scope["path"]}
        with (
            trace.attach(headers.get("traceparent")),
            trace.spanning(f"HTTP {scope['method']}", SpanKind.SERVER, attributes),
        ):
            await self._measured(scope, receive, send, request_id)

    async def _measured(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        response, started = _Response(), time.perf_counter()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                response.status = message["status"]
                _add_headers(MutableHeaders(scope=message), scope["path"], request_id)
            elif message["type"] == "http.response.body":
                response.size += len(message.get("body", b""))
            await send(message)

        in_flight = gauge(names.HTTP_SERVER_IN_FLIGHT)
        in_flight.inc()
        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            known = error if isinstance(error, OneVoiceError) else unexpected(error)
            if response.status:
                # Too late for a problem: the connection breaks off, which the client notices.
                access.exception("response broken off", extra={"request_id": request_id})
                raise
            await problem_response(known)(scope, receive, sending)
        finally:
            in_flight.dec()
            _note(scope, response, time.perf_counter() - started, request_id)


def _add_headers(headers: MutableHeaders, path: str, request_id: str) -> None:
    headers["X-Request-Id"] = request_id
    for name, value in _SECURITY_HEADERS.items():
        headers[name] = value
    if path != DOCS_PATH:
        headers.setdefault("Content-Security-Policy", _NO_CONTENT_POLICY)
    if path.startswith("/api"):
        headers.setdefault("Cache-Control", "no-store")


DOCS_PATH = "/docs"
"""The one page that runs scripts."""


def _note(scope: Scope, response: _Response, seconds: float, request_id: str) -> None:
    route = scope.get("route")
    # The template, never the path: paths hold ids, and every id would be a time series of its own.
    path = getattr(route, "path", None) or "unmatched"
    method, status = scope["method"], response.status or 499
    counter(names.HTTP_SERVER_HANDLED).labels(method=method, route=path, code=str(status)).inc()
    histogram(names.HTTP_SERVER_SECONDS).labels(method=method, route=path).observe(seconds)
    facts = {
        "http.request.method": method,
        "url.path": scope["path"],
        "http.route": path,
        "http.response.status_code": status,
        "bytes": response.size,
        "duration_ms": round(seconds * 1000, 1),
        "request_id": request_id,
        "user_id": str(scope["state"].get("user_id", "")),
    }
    quiet = path in ("/healthz", "/readyz")
    access.log(logging.DEBUG if quiet else logging.INFO, "request", extra=facts)


@dataclass(frozen=True, slots=True)
class BodyRule:
    """How large a body may be, and what it is called when it is larger."""

    limit: int
    """Bytes."""
    reason: str


class BodyLimit:
    """Refuses bodies larger than what their address takes, before and while they are read."""

    def __init__(self, app: ASGIApp, rule_of: Callable[[str], BodyRule]) -> None:
        self._app = app
        self._rule_of = rule_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        rule = self._rule_of(scope["path"])
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdigit() and int(announced) > rule.limit:
            await problem_response(too_large(rule.limit, rule.reason))(scope, receive, send)
            return
        received = 0

        async def counting() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > rule.limit:
                raise BodyTooLarge(rule.limit, rule.reason)
            return message

        await self._app(scope, counting, send)
