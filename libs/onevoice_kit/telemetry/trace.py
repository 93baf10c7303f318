"""Spans and W3C trace context (https://www.w3.org/TR/trace-context/), across processes and messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_W3C = TraceContextTextMapPropagator()
_TRACER = trace.get_tracer("onevoice")

Attribute = str | bool | int | float


@contextmanager
def span(name: str, **attributes: Attribute) -> Iterator[Span]:
    """Runs the block in a span, child of the present one. An exception marks it failed and goes on."""
    with spanning(name, SpanKind.INTERNAL, attributes) as current:
        yield current


@contextmanager
def spanning(name: str, kind: SpanKind, attributes: Mapping[str, Attribute]) -> Iterator[Span]:
    """`span` for attribute names with dots and for the two ends of a remote call."""
    with _TRACER.start_as_current_span(name, kind=kind, attributes=attributes, record_exception=False) as current:
        yield current


def start(name: str, kind: SpanKind, attributes: Mapping[str, Attribute]) -> Span:
    """A span that is not made the current one; the caller ends it."""
    return _TRACER.start_span(name, kind=kind, attributes=attributes)


def fail(failed: Span, reason: str) -> None:
    """Marks a span as failed for this reason."""
    failed.set_status(Status(StatusCode.ERROR, reason))


def inject(of: Span | None = None) -> str:
    """The `traceparent` of this span, by default the current one; empty outside any trace."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, trace.set_span_in_context(of) if of is not None else None)
    return carrier.get("traceparent", "")


@contextmanager
def attach(traceparent: str | None) -> Iterator[None]:
    """Runs the block within the trace that sent this `traceparent`; an empty or malformed one changes nothing."""
    if not traceparent:
        yield
        return
    token = otel_context.attach(_W3C.extract({"traceparent": traceparent}))
    try:
        yield
    finally:
        otel_context.detach(token)


def current_ids() -> tuple[str, str]:
    """Trace id (32 hexadecimal digits) and span id (16) of the current span; empty outside any trace."""
    ids = trace.get_current_span().get_span_context()
    if not ids.is_valid:
        return "", ""
    return trace.format_trace_id(ids.trace_id), trace.format_span_id(ids.span_id)
