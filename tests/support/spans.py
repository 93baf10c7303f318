"""Spans that record, as in a deployment with a collector."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider


def record_spans() -> None:
    """From now on in this process; a process has one provider, so the first call counts."""
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(TracerProvider())
