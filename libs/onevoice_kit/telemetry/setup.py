"""Turns on logs, traces and the metrics exporter of a process; called once, first thing in `__main__`."""

from __future__ import annotations

import prometheus_client
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON

from onevoice_kit.errors import PreconditionFailed
from onevoice_kit.settings import Settings
from onevoice_kit.telemetry import logging
from onevoice_kit.telemetry.metrics import BUILD_INFO, gauge

_EXPORT_TIMEOUT_S = 5.0


def setup(settings: Settings, service: str) -> None:
    """
    JSON logs to stdout; spans with W3C ids, exported by OTLP where an endpoint is set; Prometheus on its port.

    Raises `PreconditionFailed` (reason `metrics_port_taken`) where the exporter cannot listen.
    """
    logging.configure(settings.log_level, settings.log_format, service)
    start_traces(settings.otel_exporter_otlp_endpoint, service, settings.environment)
    _start_metrics(settings.metrics_host, settings.metrics_port, service)


def start_traces(endpoint: str, service: str, environment: str) -> None:
    """Gives spans their ids, and records and exports them where `endpoint` is set; the first call counts."""
    if isinstance(trace.get_tracer_provider(), TracerProvider):
        return  # OpenTelemetry takes one provider per process and keeps the first.
    resource = Resource({"service.name": service, "deployment.environment.name": environment})
    # Without a collector spans keep their ids, which logs and messages carry, and record nothing.
    provider = TracerProvider(sampler=DEFAULT_ON if endpoint else ALWAYS_OFF, resource=resource)
    if endpoint:
        # Imported here: the exporter costs 0.2 s and 20 MB, which only a deployment with a collector should pay.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = OTLPSpanExporter(
            endpoint=endpoint, insecure=endpoint.startswith("http://"), timeout=_EXPORT_TIMEOUT_S
        )
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


def _start_metrics(host: str, port: int, service: str) -> None:
    gauge(BUILD_INFO).labels(service=service).set(1)
    if not port:
        return
    try:
        prometheus_client.start_http_server(port, host)
    except OSError as error:
        raise PreconditionFailed(
            f"The metrics exporter cannot listen on {host}:{port}: {error.strerror}.", reason="metrics_port_taken"
        ) from error
