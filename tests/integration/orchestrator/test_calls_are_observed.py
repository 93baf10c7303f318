"""Every call of the orchestrator to recognition ends its span and is counted, however many messages it sends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from opentelemetry import trace as otel
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY

from onevoice_kit.storage.base import ObjectRef
from onevoice_kit.telemetry import trace
from tests.support.instant_stages import Script, instant_stages
from tests.support.spans import record_spans

AUDIO = ObjectRef("file:///users/ann/jobs/1/audio.wav", "0" * 64, 1, "audio/wav")
REGIONS = [(0, 20_000)]

CALLS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "DetectSpeech": lambda asr: asr.detect(AUDIO, 20_000),
    "Transcribe": lambda asr: asr.transcribe(AUDIO, REGIONS, "en", "auto"),
    "Diarize": lambda asr: asr.diarize(AUDIO, REGIONS, 20_000, 0),
    "Separate": lambda asr: asr.separate(AUDIO, 20_000, "users/a/jobs/b/asr", ""),
}


def handled(method: str) -> float:
    labels = {"grpc_service": "onevoice.asr.v1.AsrService", "grpc_method": method, "grpc_code": "OK"}
    return REGISTRY.get_sample_value("grpc_client_handled_total", labels) or 0.0


@pytest.mark.parametrize("method", CALLS)
async def test_each_call_to_recognition_ends_its_span_and_is_counted_once(method):
    record_spans()
    exporter = InMemorySpanExporter()
    otel.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))  # type: ignore[attr-defined]
    before = handled(method)
    async with instant_stages(Script()) as stages:
        with trace.span("job") as job:
            await CALLS[method](stages.asr)
        ended = [
            span for span in exporter.get_finished_spans() if span.context.trace_id == job.get_span_context().trace_id
        ]
        assert [span.name for span in ended if span.kind.name == "CLIENT"] == [f"onevoice.asr.v1.AsrService/{method}"]
        assert handled(method) == before + 1
