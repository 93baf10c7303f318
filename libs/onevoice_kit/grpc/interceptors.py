"""The layers around every served call, one concern each; `server.py` puts them in order."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import NoReturn

import grpc
from google.protobuf.message import DecodeError
from opentelemetry.trace import SpanKind

from onevoice_kit.errors import Busy, Cancelled, Forbidden, Internal, InvalidInput, OneVoiceError
from onevoice_kit.grpc.context import deadline
from onevoice_kit.grpc.errors import code_of, hide, to_status, to_trailers
from onevoice_kit.grpc.identity import NOT_ALLOWED, NOT_DECLARED, Identify
from onevoice_kit.grpc.layers import ServedCall
from onevoice_kit.telemetry import trace
from onevoice_kit.telemetry.metrics import (
    ERROR_REASON,
    GRPC_SERVER_HANDLED,
    GRPC_SERVER_IN_FLIGHT,
    GRPC_SERVER_SECONDS,
    GRPC_SERVER_STARTED,
    RPC_CODE,
    RPC_METHOD,
    RPC_SERVICE,
    RPC_SYSTEM,
    counter,
    gauge,
    histogram,
)

_log = logging.getLogger(__name__)

_RETRY_AFTER_S = 1.0

Access = Mapping[str, Collection[str]]
"""Names of the callers that each method of a service accepts, by the method's name."""


@asynccontextmanager
async def traces(call: ServedCall) -> AsyncIterator[None]:
    """Takes up the `traceparent` of the metadata; everything inside logs with the caller's trace id."""
    attributes = {RPC_SYSTEM: "grpc", RPC_SERVICE: call.service, RPC_METHOD: call.name}
    parent = call.metadata.get("traceparent", "")
    with (
        trace.attach(parent if isinstance(parent, str) else ""),
        trace.spanning(call.method.strip("/"), SpanKind.SERVER, attributes) as span,
    ):
        try:
            yield
        finally:
            span.set_attribute(RPC_CODE, call.code.value[0])
            if call.code is not grpc.StatusCode.OK:
                reason = call.error.reason if call.error else call.code.name.lower()
                span.set_attribute(ERROR_REASON, reason)
                trace.fail(span, reason)


@asynccontextmanager
async def access_log(call: ServedCall) -> AsyncIterator[None]:
    """Method, code, milliseconds, peer, and the reason where it failed."""
    peer = call.context.peer()  # Not known any more once the call is cancelled.
    try:
        yield
    finally:
        facts: dict[str, object] = {
            "rpc_method": call.method,
            "rpc_code": call.code.name,
            "duration_ms": round(call.seconds * 1000, 1),
            "peer": peer,
        }
        if call.callers:
            facts["caller"] = ",".join(sorted(call.callers))
        if call.error is not None:
            facts["reason"] = call.error.reason
        _log.info("%s/%s %s", call.service.rpartition(".")[2], call.name, call.code.name, extra=facts)


@asynccontextmanager
async def metrics(call: ServedCall) -> AsyncIterator[None]:
    """Started, in flight, handled by code, seconds."""
    labels = (call.service, call.name)
    counter(GRPC_SERVER_STARTED).labels(*labels).inc()
    in_flight = gauge(GRPC_SERVER_IN_FLIGHT).labels(*labels)
    in_flight.inc()
    try:
        yield
    finally:
        in_flight.dec()
        counter(GRPC_SERVER_HANDLED).labels(*labels, call.code.name).inc()
        histogram(GRPC_SERVER_SECONDS).labels(*labels).observe(call.seconds)


@asynccontextmanager
async def errors(call: ServedCall) -> AsyncIterator[None]:
    """Answers a kit error with its status, any other with INTERNAL and an id; a cancelled call stays cancelled."""
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            call.code = _why_cancelled(call)
            raise
        # Not the call was cancelled but something it awaited; without a status the client would wait on.
        await _abort(call, Cancelled("The work was cancelled.", reason="work_cancelled"))
    except grpc.aio.AbortError:
        call.code = _aborted_with(call)
        raise
    except OneVoiceError as error:
        await _abort(call, error)
    except Exception as error:  # noqa: BLE001 - logged, and shown as an id
        await _abort(call, hide(error, call.method))


def _why_cancelled(call: ServedCall) -> grpc.StatusCode:
    left: float | None = call.context.time_remaining()
    timed_out = left is not None and left <= 0
    return grpc.StatusCode.DEADLINE_EXCEEDED if timed_out else grpc.StatusCode.CANCELLED


def _aborted_with(call: ServedCall) -> grpc.StatusCode:
    number = int(call.context.code())  # type: ignore[call-overload]  # a number, unlike its declared type
    return code_of(number)


async def _abort(call: ServedCall, error: OneVoiceError) -> NoReturn:
    if error.__cause__ is not None and isinstance(error, Internal):
        _log.error("%s failed: %s", call.method, error.message, exc_info=error, extra={"rpc_method": call.method})
    status = to_status(error)
    call.code, call.error = code_of(status.code), error
    await call.context.abort(call.code, status.message, to_trailers(status))
    raise error  # Never reached: abort raises.


class Callers:
    """A layer that identifies the caller and lets it call what its name is declared for."""

    def __init__(self, identify: Identify | None, services: Mapping[str, Access]) -> None:
        """`services` by full name. Without `identify` any process may call whatever is declared."""
        self._identify = identify
        self._allowed = {
            f"/{service}/{method}": frozenset(callers)
            for service, access in services.items()
            for method, callers in access.items()
        }

    @asynccontextmanager
    async def __call__(self, call: ServedCall) -> AsyncIterator[None]:
        """Raises `Unauthenticated` (see `identity`), `Forbidden` (`method_not_declared`, `caller_not_allowed`)."""
        if self._identify is not None:
            call.callers = self._identify(call.context, call.metadata, call.calling)
        allowed = self._allowed.get(call.method)
        if allowed is None:
            raise Forbidden("This method is declared for no caller.", reason=NOT_DECLARED)
        if self._identify is not None and not allowed & call.callers:
            raise Forbidden("This caller may not use this method.", reason=NOT_ALLOWED)
        yield


class Admission:
    """A layer that lets `limit` calls in and answers `Busy` (reason `too_many_calls`) to the rest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running = 0

    @asynccontextmanager
    async def __call__(self, call: ServedCall) -> AsyncIterator[None]:  # noqa: ARG002 - every layer gets the call
        """Holds one place while the call runs."""
        if self._running >= self._limit:
            raise Busy("The service is full; try again later.", reason="too_many_calls", retry_after=_RETRY_AFTER_S)
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1


@asynccontextmanager
async def deadlines(call: ServedCall) -> AsyncIterator[None]:
    """Sets `context.remaining()` for the call; a caller without a deadline (a person with a tool) sets none."""
    left: float | None = call.context.time_remaining()
    with deadline(left if left is not None and math.isfinite(left) else None):
        yield


@asynccontextmanager
async def parsing(call: ServedCall) -> AsyncIterator[None]:
    """Makes the request of its bytes; raises `InvalidInput` (reason `malformed_request`)."""
    try:
        call.request = call.parse(call.payload)
        yield
    except DecodeError as error:
        raise InvalidInput("The request cannot be read.", reason="malformed_request") from error
