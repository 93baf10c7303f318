"""Counts and times served calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from onevoice_kit.grpc.interceptors.base import ServedCall
from onevoice_kit.telemetry.metrics import counter, gauge, histogram
from onevoice_kit.telemetry.names import (
    GRPC_SERVER_HANDLED,
    GRPC_SERVER_IN_FLIGHT,
    GRPC_SERVER_SECONDS,
    GRPC_SERVER_STARTED,
)


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
