"""Calls are counted, timed, logged, and stay in one trace from process to process."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from opentelemetry import trace as otel
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY, generate_latest

from onevoice.asr.v1 import asr_service_pb2
from onevoice.tts.v1 import tts_service_pb2
from onevoice_kit.errors import NotFound
from onevoice_kit.grpc.streams import messages
from onevoice_kit.telemetry import trace
from onevoice_kit.testing.waiting import eventually

REQUEST = tts_service_pb2.SynthesizeRequest()
LABELS = {"grpc_service": "onevoice.tts.v1.TtsService", "grpc_method": "Synthesize"}


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, LABELS | labels) or 0.0


async def test_served_calls_are_counted_by_code_and_timed(open_stage):
    async def speak(request, context):
        if request.text:
            raise NotFound
        assert value("grpc_server_in_flight") == 1
        return tts_service_pb2.SynthesizeResponse()

    before = {code: value("grpc_server_handled_total", grpc_code=code) for code in ("OK", "NOT_FOUND")}
    started, timed = value("grpc_server_started_total"), value("grpc_server_handling_seconds_count")
    async with open_stage(speak=speak) as stage:
        await stage.tts.Synthesize(REQUEST, timeout=10)
        with pytest.raises(NotFound):
            await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(text="x"), timeout=10)
        # A call is counted after its reply.
        await eventually(lambda: value("grpc_server_handling_seconds_count") == timed + 2)
    for code, count in before.items():
        assert value("grpc_server_handled_total", grpc_code=code) == count + 1
    assert value("grpc_server_started_total") == started + 2
    assert value("grpc_server_in_flight") == 0


async def test_outgoing_calls_are_counted_by_code(open_stage):
    before = value("grpc_client_handled_total", grpc_code="OK")
    async with open_stage() as stage:
        await stage.tts.Synthesize(REQUEST, timeout=10)
    assert value("grpc_client_handled_total", grpc_code="OK") == before + 1
    assert b"grpc_client_handling_seconds_bucket" in generate_latest(REGISTRY)


async def test_one_trace_runs_through_two_hops(open_stage):
    seen = []

    async def inner(request, context):
        seen.append(trace.current_ids()[0])
        return tts_service_pb2.SynthesizeResponse()

    async with open_stage(speak=inner) as second:

        async def outer(request, context):
            seen.append(trace.current_ids()[0])
            return await second.tts.Synthesize(request, timeout=10)

        async with open_stage(speak=outer) as first:
            with trace.span("job"):
                seen.append(trace.current_ids()[0])
                await first.tts.Synthesize(REQUEST, timeout=10)
    assert len(seen) == 3
    assert len(set(seen)) == 1


async def test_the_trace_reaches_streaming_servicers(open_stage):
    seen = []

    async def detect(request, context):
        seen.append(trace.current_ids()[0])
        yield asr_service_pb2.DetectSpeechResponse(result=asr_service_pb2.DetectSpeechResult())

    async with open_stage(detect=detect) as stage:
        with trace.span("job"):
            seen.append(trace.current_ids()[0])
            async for _ in stage.asr.DetectSpeech(asr_service_pb2.DetectSpeechRequest(), timeout=10):
                pass
    assert len(seen) == 2
    assert seen[0] == seen[1]


async def test_both_ends_leave_spans_that_hang_together_and_say_what_failed(open_stage):
    exporter = InMemorySpanExporter()
    otel.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))  # type: ignore[attr-defined]

    async def speak(request, context):
        raise NotFound(reason="voice_not_found")

    async with open_stage(speak=speak) as stage:
        with trace.span("job") as job, pytest.raises(NotFound):
            await stage.tts.Synthesize(REQUEST, timeout=10)
    trace_id = job.get_span_context().trace_id
    spans: dict[str, Any]
    spans = {span.kind.name: span for span in exporter.get_finished_spans() if span.context.trace_id == trace_id}
    assert spans["CLIENT"].parent.span_id == spans["INTERNAL"].context.span_id
    assert spans["SERVER"].parent.span_id == spans["CLIENT"].context.span_id
    assert spans["SERVER"].attributes["error.reason"] == "voice_not_found"
    assert spans["CLIENT"].status.description == "voice_not_found"


async def test_every_served_call_leaves_one_log_line(open_stage, caplog):
    async def speak(request, context):
        raise NotFound(reason="voice_not_found")

    def lines() -> list[dict[str, Any]]:
        return [vars(record) for record in caplog.records if "rpc_code" in vars(record)]

    with caplog.at_level(logging.INFO):
        async with open_stage(speak=speak) as stage:
            with pytest.raises(NotFound):
                await stage.tts.Synthesize(REQUEST, timeout=10)
            await eventually(lines)  # It is written after the reply.
    assert [(line["rpc_code"], line["reason"]) for line in lines()] == [("NOT_FOUND", "voice_not_found")]
    assert lines()[0]["duration_ms"] >= 0


async def test_a_stream_that_is_left_early_ends_its_span_and_is_counted(open_stage):
    exporter = InMemorySpanExporter()
    otel.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))  # type: ignore[attr-defined]
    labels = {"grpc_service": "onevoice.asr.v1.AsrService", "grpc_method": "DetectSpeech"}

    def counted() -> float:
        codes = [{"grpc_code": code} for code in ("OK", "CANCELLED")]
        return sum(REGISTRY.get_sample_value("grpc_client_handled_total", labels | code) or 0.0 for code in codes)

    async def detect(request, context):
        for _ in range(2):
            yield asr_service_pb2.DetectSpeechResponse(result=asr_service_pb2.DetectSpeechResult())

    before = counted()
    async with open_stage(detect=detect) as stage:
        with trace.span("job") as job:
            reading = messages(stage.asr.DetectSpeech(asr_service_pb2.DetectSpeechRequest(), timeout=10))
            await anext(reading)
            await reading.aclose()
        await eventually(lambda: counted() == before + 1)
    trace_id = job.get_span_context().trace_id
    spans = [span for span in exporter.get_finished_spans() if span.context.trace_id == trace_id]
    assert [span.kind.name for span in spans].count("CLIENT") == 1
