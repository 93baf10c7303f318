"""A kit error raised in a servicer arrives at the caller as the same kit error."""

from __future__ import annotations

import asyncio
import logging

import grpc
import pytest

from onevoice.asr.v1 import asr_service_pb2
from onevoice.common.v1 import progress_pb2
from onevoice.tts.v1 import tts_service_pb2
from onevoice_kit.errors import (
    BY_KIND,
    Busy,
    Cancelled,
    DeadlineExceeded,
    Internal,
    Kind,
    NotFound,
    OneVoiceError,
    QuotaExceeded,
    Unavailable,
)
from onevoice_kit.grpc.client import connect


def raising(error: BaseException):
    async def speak(request, context):
        raise error

    return speak


def raising_in_a_stream(error: BaseException):
    async def detect(request, context):
        yield asr_service_pb2.DetectSpeechResponse(progress=progress_pb2.Progress(fraction=0.5))
        raise error

    return detect


@pytest.mark.parametrize("kind", list(Kind))
async def test_every_kind_arrives_as_it_was_raised(open_stage, kind):
    raised = BY_KIND[kind](
        "Größe ist 4 × zu viel.",
        reason="too_much",
        retry_after=2.25,
        retryable=kind is Kind.INTERNAL,
        details={"limit": "4", "unit": "MiB"},
    )
    async with open_stage(speak=raising(raised)) as stage:
        with pytest.raises(OneVoiceError) as caught:
            await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=10)
    assert type(caught.value) is type(raised)
    assert vars(caught.value) == vars(raised) | {"retryable": kind is Kind.INTERNAL}


@pytest.mark.parametrize("kind", list(Kind))
async def test_every_kind_arrives_from_the_middle_of_a_stream(open_stage, kind):
    raised = BY_KIND[kind]("No.", reason="no", details={"at": "half"})
    async with open_stage(detect=raising_in_a_stream(raised)) as stage:
        stream = aiter(stage.asr.DetectSpeech(asr_service_pb2.DetectSpeechRequest(), timeout=10))
        first = await anext(stream)
        with pytest.raises(OneVoiceError) as caught:
            await anext(stream)
    assert first.progress.fraction == 0.5
    assert type(caught.value) is type(raised)
    assert vars(caught.value) == vars(raised) | {"retryable": raised.retryable}


async def test_busy_carries_the_time_to_retry_after(open_stage):
    async with open_stage(speak=raising(Busy(retry_after=7.5))) as stage:
        with pytest.raises(Busy) as caught:
            await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=10)
    assert caught.value.retry_after == 7.5
    assert caught.value.retryable


async def test_quota_and_busy_share_a_code_and_stay_apart(open_stage):
    async with open_stage(speak=raising(QuotaExceeded(reason="no_credits"))) as stage:
        with pytest.raises(QuotaExceeded) as caught:
            await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=10)
    assert not caught.value.retryable


async def test_an_unknown_error_shows_an_id_outside_and_the_truth_in_the_log(open_stage, caplog):
    async with open_stage(speak=raising(ValueError("password=hunter2"))) as stage:
        with caplog.at_level(logging.ERROR), pytest.raises(Internal) as caught:
            await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=10)
    error_id = caught.value.details["error_id"]
    record = next(record for record in caplog.records if getattr(record, "error_id", None) == error_id)
    assert "hunter2" not in str(vars(caught.value))
    assert record.exc_info is not None
    assert "hunter2" in str(record.exc_info[1])


async def test_a_long_message_is_cut_rather_than_lost(open_stage):
    async with open_stage(speak=raising(NotFound("ü" * 50_000, details={"k": "v" * 50_000}))) as stage:
        with pytest.raises(NotFound) as caught:
            await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=10)
    assert set(caught.value.message) == {"ü"}
    assert set(caught.value.details["k"]) == {"v"}


async def test_a_servicer_that_aborts_by_itself_is_understood_by_its_code(open_stage):
    async def speak(request, context):
        await context.abort(grpc.StatusCode.NOT_FOUND, "gone")

    async with open_stage(speak=speak) as stage:
        with pytest.raises(NotFound) as caught:
            await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=10)
    assert caught.value.reason == "not_found"


async def test_work_cancelled_inside_the_service_answers_instead_of_hanging(open_stage):
    async def speak(request, context):
        task = asyncio.create_task(asyncio.Event().wait())
        asyncio.get_running_loop().call_soon(task.cancel)
        await task

    async with open_stage(speak=speak) as stage:
        with pytest.raises(Cancelled) as caught:
            await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=10)
    assert caught.value.reason == "work_cancelled"


async def test_a_caller_that_goes_away_cancels_the_work(open_stage):
    started, stopped = asyncio.Event(), asyncio.Event()

    async def speak(request, context):
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with open_stage(speak=speak) as stage:

        async def ask():
            await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=60)

        asking = asyncio.create_task(ask())
        await started.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(stopped.wait(), 30)
    assert stopped.is_set()


async def test_a_service_that_is_not_there_is_unavailable(unused_tcp_port):
    from onevoice.tts.v1 import tts_service_pb2_grpc

    async with connect(f"127.0.0.1:{unused_tcp_port}") as channel:
        stub = tts_service_pb2_grpc.TtsServiceStub(channel)
        with pytest.raises(Unavailable) as caught:
            await stub.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=10)
    assert caught.value.reason == "service_unreachable"
    assert caught.value.message == "TtsService does not answer."


async def test_a_late_answer_is_a_deadline_error(open_stage):
    async def speak(request, context):
        await asyncio.Event().wait()

    async with open_stage(speak=speak) as stage:
        with pytest.raises(DeadlineExceeded):
            await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=0.1)


async def test_a_message_above_four_megabytes_is_refused_and_not_taken_for_busy(open_stage):
    async with open_stage() as stage:
        with pytest.raises(Internal) as caught:
            await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(text="x" * (5 << 20)), timeout=10)
    assert caught.value.reason == "message_too_large"
