"""A request that is no message is refused in one sentence, without a word of the program behind it."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

METHODS = [
    "/onevoice.tts.v1.TtsService/Synthesize",
    "/onevoice.asr.v1.AsrService/DetectSpeech",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
]
STREAMED = {"DetectSpeech", "Watch"}
GARBAGE = [b"\xff\xff\xff", b"\x0a\x05ab", b"\x0a\x02\xff\xfe", b"\x00" * 40]


async def sent(channel: grpc.aio.Channel, method: str, payload: bytes) -> grpc.aio.AioRpcError:
    raw: Any = channel
    if method.rpartition("/")[2] in STREAMED:
        answer = raw.unary_stream(method)(payload, timeout=10).read()
    else:
        answer = raw.unary_unary(method)(payload, timeout=10)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await answer
    return caught.value


@pytest.mark.parametrize("payload", GARBAGE)
@pytest.mark.parametrize("method", METHODS)
async def test_garbage_is_an_invalid_argument_and_shows_no_python(open_stage, method, payload):
    async with open_stage() as stage, grpc.aio.insecure_channel(stage.server.address) as channel:
        error = await sent(channel, method, payload)
    assert (error.code(), error.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "The request cannot be read.")
    assert "google.protobuf" not in error.debug_error_string()
