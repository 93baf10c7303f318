"""A span per served call, child of the caller's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from opentelemetry.trace import SpanKind

from onevoice_kit.grpc.interceptors.base import ServedCall
from onevoice_kit.telemetry import trace
from onevoice_kit.telemetry.names import ERROR_REASON, RPC_CODE, RPC_METHOD, RPC_SERVICE, RPC_SYSTEM


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
