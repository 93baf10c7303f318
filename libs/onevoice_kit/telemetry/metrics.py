"""
Every metric and span attribute by name, once, and the Prometheus objects, made once and shared by all that use a name.

Metrics: `<subsystem>_<what>_<unit>`, base units (seconds, bytes), `_total` for counters. Labels have few values:
never an id, a key, a text or an address. The gRPC names are those of go-grpc-prometheus, which dashboards use.
A package with metrics of its own adds them here, in its own block.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from prometheus_client import Counter, Gauge, Histogram


@dataclass(frozen=True, slots=True)
class Metric:
    """The name of a metric and everything that belongs to it."""

    name: str
    description: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds, for histograms; empty takes `SECONDS`."""


SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Buckets from a health check to the mix of a long film; seconds."""

_RPC = ("grpc_service", "grpc_method")

# --- gRPC, server side
GRPC_SERVER_STARTED = Metric("grpc_server_started_total", "Calls taken up. Unit: calls.", _RPC)
GRPC_SERVER_HANDLED = Metric(
    "grpc_server_handled_total", "Calls ended, by status code. Unit: calls.", (*_RPC, "grpc_code")
)
GRPC_SERVER_SECONDS = Metric(
    "grpc_server_handling_seconds", "From taking a call up until it ended. Unit: seconds.", _RPC
)
GRPC_SERVER_IN_FLIGHT = Metric("grpc_server_in_flight", "Calls being worked on. Unit: calls.", _RPC)

# --- gRPC, client side
GRPC_CLIENT_STARTED = Metric("grpc_client_started_total", "Calls sent. Unit: calls.", _RPC)
GRPC_CLIENT_HANDLED = Metric(
    "grpc_client_handled_total", "Calls ended, by status code, retries within. Unit: calls.", (*_RPC, "grpc_code")
)
GRPC_CLIENT_SECONDS = Metric("grpc_client_handling_seconds", "From sending a call until it ended. Unit: seconds.", _RPC)

# --- Outbox relay
OUTBOX_RELAYED = Metric("outbox_relayed_total", "Rows handed to the queue: sent or refused.", ("outcome",))
OUTBOX_LAG_SECONDS = Metric("outbox_lag_seconds", "Time for which the first row to send has been due. Unit: seconds.")

# --- Engines of the stages
_ENGINE = ("stage", "engine")

ENGINE_CALLS = Metric(
    "engine_calls_total", "Calls of an engine ended, by `ok` or kind of error. Unit: calls.", (*_ENGINE, "outcome")
)
ENGINE_SECONDS = Metric("engine_call_seconds", "From the start of an engine's call to its end. Unit: seconds.", _ENGINE)
ENGINE_IN_FLIGHT = Metric("engine_calls_in_flight", "Calls of an engine that run or wait. Unit: calls.", _ENGINE)
ENGINE_FALLBACKS = Metric(
    "engine_fallbacks_total", "Calls that another engine took over after this one failed. Unit: calls.", _ENGINE
)

# --- HTTP, server side (the gateway)
_HTTP = ("method", "route")

HTTP_SERVER_HANDLED = Metric(
    "http_server_handled_total", "Requests ended, by status. Unit: requests.", (*_HTTP, "code")
)
HTTP_SERVER_SECONDS = Metric(
    "http_server_handling_seconds", "From the start of a request to the end of its answer. Unit: seconds.", _HTTP
)
HTTP_SERVER_IN_FLIGHT = Metric("http_server_in_flight", "Requests being worked on. Unit: requests.")
HTTP_CONNECTIONS = Metric("http_server_connections", "Open connections. Unit: connections.")
HTTP_CONNECTIONS_CUT = Metric(
    "http_server_connections_cut_total",
    "Connections closed by a limit: idle, slow_headers, slow_body, unread_body, unread_response, made_room, too_many.",
    ("limit",),
)

BACKGROUND_RESTARTS = Metric(
    "background_task_restarts_total", "Background tasks of a server that ended and were started again.", ("task",)
)

# --- Process
BUILD_INFO = Metric("onevoice_process_info", "Always 1; the label names the service.", ("service",))

# --- Attributes of spans and fields of log lines
RPC_SYSTEM = "rpc.system"
"""Always `grpc`."""
RPC_SERVICE = "rpc.service"
"""Full name of the service, for example `onevoice.tts.v1.TtsService`."""
RPC_METHOD = "rpc.method"
"""Name of the method, for example `Synthesize`."""
RPC_CODE = "rpc.grpc.status_code"
"""Numeric gRPC status code."""
ERROR_REASON = "error.reason"
"""The kit error's `reason`."""
ERROR_ID = "error_id"
"""Id given out in place of an unknown error's text; its log line has the truth."""


@cache
def counter(metric: Metric) -> Counter:
    """The counter of this name."""
    return Counter(metric.name, metric.description, metric.labels)


@cache
def gauge(metric: Metric) -> Gauge:
    """The gauge of this name."""
    return Gauge(metric.name, metric.description, metric.labels)


@cache
def histogram(metric: Metric) -> Histogram:
    """The histogram of this name."""
    return Histogram(metric.name, metric.description, metric.labels, buckets=metric.buckets or SECONDS)
