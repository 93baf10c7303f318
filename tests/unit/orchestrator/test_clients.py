"""Deadlines of the calls to the stages."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from services.orchestrator.clients.tts import TtsClient


class Stub:
    """Notes the deadline of the call and fails it."""

    async def Synthesize(self, request, timeout):
        self.timeout = timeout
        raise ConnectionError


async def test_a_line_may_wait_for_the_hundred_and_fifty_before_it_though_each_takes_seconds():
    async with grpc.aio.insecure_channel("localhost:1") as channel:
        client = TtsClient(channel)
        stub: Any = Stub()
        client._stub = stub
        with pytest.raises(ConnectionError):
            await client.speak("Hola.", "es", "kokoro:ef_dora", "users/a", "")
    assert stub.timeout >= 150 * 3
