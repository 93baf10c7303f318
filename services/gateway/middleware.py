"""Layers around every request: id, trace, log line, metrics, security headers; then its key; then its body's limits."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass

from opentelemetry.trace import SpanKind
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onevoice_kit.errors import OneVoiceError, Unavailable
from onevoice_kit.telemetry import metrics, trace
from onevoice_kit.telemetry.metrics import counter, gauge, histogram
from services.gateway.accounts import Authenticator
from services.gateway.errors import BodyRefused, problem_response, too_large, unexpected

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

        in_flight = gauge(metrics.HTTP_SERVER_IN_FLIGHT)
        in_flight.inc()
        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            return  # the client is gone
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
    counter(metrics.HTTP_SERVER_HANDLED).labels(method=method, route=path, code=str(status)).inc()
    histogram(metrics.HTTP_SERVER_SECONDS).labels(method=method, route=path).observe(seconds)
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


class Authentication:
    """Checks the key before anything of the body is read. Everything below `/api` needs one but `open_paths`."""

    def __init__(self, app: ASGIApp, open_paths: Collection[str]) -> None:
        self._app = app
        self._open = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if path.startswith("/api") and path not in self._open:
            authenticator: Authenticator = scope["app"].state.parts[Authenticator]
            caller = await authenticator.caller(bearer(Headers(scope=scope)))
            scope["state"].update(caller=caller, user_id=caller.user_id)
        await self._app(scope, receive, send)


def bearer(headers: Headers) -> str | None:
    """The bearer token of a request (RFC 6750, section 2.1), if it has one."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


@dataclass(frozen=True, slots=True)
class BodyRule:
    """Limits for the bodies that one kind of address takes."""

    limit: int
    """Bytes."""
    reason: str
    """Of the problem when a body is larger."""
    in_memory: bool = False
    """Bodies that are held in memory share `in_flight` bytes."""


class BodyLimit:
    """
    Refuses bodies larger than what their address takes, before and while they are read, and with 503 those that would
    make the bodies held in memory exceed `in_flight` bytes together.
    """

    def __init__(self, app: ASGIApp, rule_of: Callable[[str], BodyRule], in_flight: int) -> None:
        self._app = app
        self._rule_of = rule_of
        self._most_in_flight = in_flight
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        rule = self._rule_of(scope["path"])
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdigit() and int(announced) > rule.limit:
            await problem_response(too_large(rule.limit, rule.reason))(scope, receive, send)
            return
        received = held = 0

        async def counting() -> Message:
            nonlocal received, held
            message = await receive()
            size = len(message.get("body", b""))
            received += size
            if received > rule.limit:
                raise BodyRefused(too_large(rule.limit, rule.reason))
            if rule.in_memory:
                held += size
                self._in_flight += size
                if self._in_flight > self._most_in_flight:
                    raise BodyRefused(Unavailable("Too much is being received; try again.", reason="overloaded"))
            return message

        try:
            await self._app(scope, counting, send)
        finally:
            self._in_flight -= held
