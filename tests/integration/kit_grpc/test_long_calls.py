"""Long work is a server stream: progress while it runs, the result last."""

from __future__ import annotations

import asyncio

import pytest

from onevoice.asr.v1 import asr_service_pb2, asr_service_pb2_grpc
from onevoice.common.v1 import progress_pb2
from onevoice_kit.errors import Internal, PreconditionFailed, Unavailable
from onevoice_kit.grpc.streams import final_result, with_progress

REQUEST = asr_service_pb2.DetectSpeechRequest()


def progress(fraction: float) -> asr_service_pb2.DetectSpeechResponse:
    return asr_service_pb2.DetectSpeechResponse(progress=progress_pb2.Progress(fraction=fraction))


def result(duration_ms: int) -> asr_service_pb2.DetectSpeechResponse:
    return asr_service_pb2.DetectSpeechResponse(result=asr_service_pb2.DetectSpeechResult(duration_ms=duration_ms))


def detecting(work, **intervals: float):
    def detect(request, context):
        return with_progress(work, progress, result, **intervals)

    return detect


async def test_progress_arrives_while_the_work_runs_and_the_result_last(open_stage):
    seen: list[float] = []
    half_seen = asyncio.Event()

    async def work(report):
        report(0.5)
        await half_seen.wait()
        return 1234

    def on_progress(fraction: float) -> None:
        seen.append(fraction)
        half_seen.set()

    async with open_stage(detect=detecting(work, min_interval_s=0.01)) as stage:
        found = await final_result(stage.asr.DetectSpeech(REQUEST, timeout=30), on_progress=on_progress)
    assert found.duration_ms == 1234
    assert seen == [0.5]


async def test_work_without_progress_still_sends_heartbeats(open_stage):
    enough = asyncio.Event()
    beats: list[float] = []

    async def work(report):
        await enough.wait()
        return 1

    async def on_progress(fraction: float) -> None:
        beats.append(fraction)
        if len(beats) == 3:
            enough.set()

    async with open_stage(detect=detecting(work, min_interval_s=0.01, max_interval_s=0.02)) as stage:
        await final_result(stage.asr.DetectSpeech(REQUEST, timeout=30), on_progress=on_progress)
    assert beats[:3] == [0.0, 0.0, 0.0]


async def test_an_error_of_the_work_arrives_with_its_reason(open_stage):
    async def work(report):
        raise PreconditionFailed("There is no speech.", reason="no_speech")

    async with open_stage(detect=detecting(work)) as stage:
        with pytest.raises(PreconditionFailed) as caught:
            await final_result(stage.asr.DetectSpeech(REQUEST, timeout=30))
    assert caught.value.reason == "no_speech"


async def test_a_reader_that_goes_away_stops_the_work(open_stage):
    stopped = asyncio.Event()

    async def work(report):
        report(0.1)
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    def give_up(fraction: float) -> None:
        raise Internal("enough")

    async with open_stage(detect=detecting(work, min_interval_s=0.01)) as stage:
        with pytest.raises(Internal, match="enough"):
            await final_result(stage.asr.DetectSpeech(REQUEST, timeout=30), on_progress=give_up)
        await asyncio.wait_for(stopped.wait(), 30)
    assert stopped.is_set()


async def test_a_silent_stream_is_given_up_and_its_work_stopped(open_stage):
    stopped = asyncio.Event()

    async def detect(request, context):
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        yield result(0)

    async with open_stage(detect=detect) as stage:
        with pytest.raises(Unavailable) as caught:
            await final_result(stage.asr.DetectSpeech(REQUEST, timeout=60), idle_timeout_s=0.2)
        await asyncio.wait_for(stopped.wait(), 30)
    assert (caught.value.reason, caught.value.retryable) == ("stream_stalled", True)


async def test_a_stream_without_a_result_is_an_error(open_stage):
    async def detect(request, context):
        yield progress(1.0)

    async with open_stage(detect=detect) as stage:
        with pytest.raises(Internal) as caught:
            await final_result(stage.asr.DetectSpeech(REQUEST, timeout=30))
    assert caught.value.reason == "no_result"


async def test_servicers_may_yield_or_write(open_stage):
    async with open_stage() as stage:
        stub = asr_service_pb2_grpc.AsrServiceStub(stage.channel)
        yielded = await final_result(stub.Transcribe(asr_service_pb2.TranscribeRequest(), timeout=30))
        written = await final_result(stub.Diarize(asr_service_pb2.DiarizeRequest(), timeout=30))
    assert isinstance(yielded, asr_service_pb2.TranscribeResult)
    assert isinstance(written, asr_service_pb2.DiarizeResult)
