"""UNAVAILABLE is retried by the transport; everything else is the caller's business."""

from __future__ import annotations

import pytest

from onevoice.asr.v1 import asr_service_pb2
from onevoice.tts.v1 import tts_service_pb2
from onevoice_kit.errors import Busy, InvalidInput, OneVoiceError, Unavailable
from onevoice_kit.grpc.streams import final_result


class Failing:
    """Raises `error` the first `times` calls."""

    def __init__(self, error: OneVoiceError, times: int) -> None:
        self.error, self.times, self.calls = error, times, 0

    async def speak(self, request, context):
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return tts_service_pb2.SynthesizeResponse(voice="done")

    async def detect(self, request, context):
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        yield asr_service_pb2.DetectSpeechResponse(result=asr_service_pb2.DetectSpeechResult(duration_ms=5))


async def test_a_service_that_comes_back_is_not_noticed(open_stage):
    failing = Failing(Unavailable(), times=2)
    async with open_stage(speak=failing.speak) as stage:
        answer = await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=30)
    assert (answer.voice, failing.calls) == ("done", 3)


async def test_a_stream_that_has_not_begun_is_retried_too(open_stage):
    failing = Failing(Unavailable(), times=1)
    async with open_stage(detect=failing.detect) as stage:
        result = await final_result(stage.asr.DetectSpeech(asr_service_pb2.DetectSpeechRequest(), timeout=30))
    assert (result.duration_ms, failing.calls) == (5, 2)


async def test_four_attempts_are_the_most(open_stage):
    failing = Failing(Unavailable("The store is away.", reason="storage_unavailable"), times=100)
    async with open_stage(speak=failing.speak) as stage:
        with pytest.raises(Unavailable) as caught:
            await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=60)
    assert (caught.value.reason, failing.calls) == ("storage_unavailable", 4)


@pytest.mark.parametrize(
    "error", [Busy(retry_after=1), InvalidInput(), Unavailable(retry_after=30), Unavailable(retryable=False)]
)
async def test_what_must_wait_or_cannot_be_helped_is_not_repeated(open_stage, error):
    failing = Failing(error, times=100)
    async with open_stage(speak=failing.speak) as stage:
        with pytest.raises(type(error)) as caught:
            await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=30)
    assert failing.calls == 1
    assert caught.value.retry_after == error.retry_after
