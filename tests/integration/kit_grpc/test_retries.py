"""The transport repeats no call that a server has received: retries belong to the caller, which has the budget."""

from __future__ import annotations

import pytest

from onevoice.asr.v1 import asr_service_pb2
from onevoice.tts.v1 import tts_service_pb2
from onevoice_kit.errors import Busy, InvalidInput, OneVoiceError, Unavailable
from onevoice_kit.grpc.streams import final_result

ERRORS = [
    Unavailable("The store is away.", reason="storage_unavailable"),
    Unavailable(retry_after=30),
    Unavailable(retryable=False),
    Busy(retry_after=1),
    InvalidInput(),
]


class Failing:
    """Raises `error` at the first two calls."""

    def __init__(self, error: OneVoiceError) -> None:
        self.error, self.calls = error, 0

    async def speak(self, request, context):
        self.calls += 1
        if self.calls <= 2:
            raise self.error
        return tts_service_pb2.SynthesizeResponse(voice="done")

    async def detect(self, request, context):
        self.calls += 1
        if self.calls <= 2:
            raise self.error
        yield asr_service_pb2.DetectSpeechResponse(result=asr_service_pb2.DetectSpeechResult(duration_ms=5))


@pytest.mark.parametrize("error", ERRORS)
async def test_a_call_that_failed_is_not_repeated(open_stage, error):
    failing = Failing(error)
    async with open_stage(speak=failing.speak) as stage:
        with pytest.raises(type(error)) as caught:
            await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=30)
    assert (failing.calls, caught.value.reason) == (1, error.reason)
    assert caught.value.retry_after == error.retry_after


async def test_a_stream_that_failed_before_its_first_message_is_not_repeated(open_stage):
    failing = Failing(ERRORS[0])
    async with open_stage(detect=failing.detect) as stage:
        with pytest.raises(Unavailable):
            await final_result(stage.asr.DetectSpeech(asr_service_pb2.DetectSpeechRequest(), timeout=30))
    assert failing.calls == 1


async def test_the_channel_goes_on_after_an_error(open_stage):
    failing = Failing(ERRORS[0])
    async with open_stage(speak=failing.speak) as stage:
        for _ in range(2):
            with pytest.raises(Unavailable):
                await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=30)
        answer = await stage.tts.Synthesize(tts_service_pb2.SynthesizeRequest(), timeout=30)
    assert (answer.voice, failing.calls) == ("done", 3)
