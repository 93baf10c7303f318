"""Every call has a deadline, and it shrinks from hop to hop."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from onevoice.asr.v1 import asr_service_pb2
from onevoice.tts.v1 import tts_service_pb2
from onevoice_kit.errors import DeadlineExceeded, Internal
from onevoice_kit.grpc.context import deadline, remaining
from onevoice_kit.telemetry import trace

ROUNDING_S = 0.5
"""gRPC rounds the timeout up on the wire."""


async def test_a_unary_call_without_a_timeout_is_refused_before_it_is_sent(open_stage):
    async with open_stage() as stage:
        with pytest.raises(Internal) as caught:
            stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest())
    assert caught.value.reason == "deadline_missing"


async def test_a_stream_without_a_timeout_is_refused_before_it_is_sent(open_stage):
    async with open_stage() as stage:
        with pytest.raises(Internal) as caught:
            stage.asr.DetectSpeech(asr_service_pb2.DetectSpeechRequest())
    assert caught.value.reason == "deadline_missing"


async def test_the_first_callers_deadline_bounds_the_second_hop(open_stage):
    seen = {}

    async def inner(request, context):
        seen["inner"] = context.time_remaining()
        return tts_service_pb2.SynthesizeResponse()

    async with open_stage(speak=inner) as second:

        async def outer(request, context):
            seen["outer"] = remaining()
            return await second.tts.Synthesize(request, timeout=3600)

        async with open_stage(speak=outer) as first:
            await first.tts.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=20)
    assert 0 < seen["outer"] < 20 + ROUNDING_S
    assert 0 < seen["inner"] < seen["outer"] + ROUNDING_S


async def test_the_deadline_reaches_a_streaming_servicer(open_stage):
    async def detect(request, context):
        left = remaining()
        assert left is not None
        found = asr_service_pb2.DetectSpeechResult(duration_ms=int(left * 1000))
        yield asr_service_pb2.DetectSpeechResponse(result=found)

    async with open_stage(detect=detect) as stage:
        call = stage.asr.DetectSpeech(asr_service_pb2.DetectSpeechRequest(), timeout=20)
        answers = [answer async for answer in call]
    assert 0 < answers[0].result.duration_ms < (20 + ROUNDING_S) * 1000


async def test_an_enclosing_deadline_shortens_a_call(open_stage):
    async def speak(request, context):
        return tts_service_pb2.SynthesizeResponse(natural_ms=int(context.time_remaining() * 1000))

    async with open_stage(speak=speak) as stage:
        with deadline(15):
            answer = await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=3600)
    assert 0 < answer.natural_ms < (15 + ROUNDING_S) * 1000


async def test_calls_inherit_nothing_from_where_the_server_was_started(open_stage):
    seen = []

    async def speak(request, context):
        seen.append((remaining(), trace.current_ids()[0]))
        return tts_service_pb2.SynthesizeResponse()

    async with AsyncExitStack() as stack:
        with deadline(5), trace.span("starting"):
            starting = trace.current_ids()[0]
            stage = await stack.enter_async_context(open_stage(speak=speak))
        await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=60)
    left, trace_id = seen[0]
    assert left is not None
    assert left > 5 + ROUNDING_S
    assert trace_id != starting


async def test_no_call_is_made_when_no_time_is_left(open_stage):
    calls = []

    async def speak(request, context):
        calls.append(request)
        return tts_service_pb2.SynthesizeResponse()

    async with open_stage(speak=speak) as stage:
        with deadline(0), pytest.raises(DeadlineExceeded):
            await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=10)
    assert calls == []
