"""Calls to the stages: deadlines, and replies as the pipeline takes them."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from onevoice.asr.v1 import asr_service_pb2, transcript_pb2
from onevoice.common.v1.media_pb2 import TimeRange
from onevoice.translate.v1 import translate_service_pb2
from onevoice.tts.v1 import tts_service_pb2
from onevoice_kit.engines.base import EngineFailure as Failed
from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.grpc.converters import engine_use_to_proto
from onevoice_kit.storage.base import ObjectRef
from services.orchestrator.clients.asr import AsrClient
from services.orchestrator.clients.translate import SourceLine, TranslateClient
from services.orchestrator.clients.tts import TtsClient
from services.orchestrator.policy.line import EngineFailure, EngineUse
from services.orchestrator.policy.voices import Speaker, Voice


class Stub:
    """Notes the deadline of the call and fails it."""

    async def Synthesize(self, request, timeout):
        self.timeout = timeout
        raise ConnectionError


async def test_a_line_may_wait_for_the_hundred_and_fifty_before_it_though_each_takes_seconds():
    async with grpc.aio.insecure_channel("localhost:1") as channel:
        client = TtsClient(channel)
        stub: Any = Stub()
        client._lines._stub = stub
        with pytest.raises(ConnectionError):
            await client.speak("Hola.", "es", "kokoro:ef_dora", "users/a", "")
    assert stub.timeout >= 150 * 3


class Answers:
    """Gives the speakers of a source and the voices of a language."""

    def Diarize(self, request, timeout):
        self.speakers = request.speakers
        return self

    def cancel(self) -> bool:
        return False

    async def __aiter__(self):
        turns = [
            transcript_pb2.Turn(range=TimeRange(start_ms=0, end_ms=900), speaker=name)
            for name in ("speaker_1", "speaker_2", "speaker_1")
        ]
        speakers = [transcript_pb2.Speaker(name="speaker_1", gender=transcript_pb2.SPEAKER_GENDER_FEMALE, pitch_hz=204)]
        result = asr_service_pb2.DiarizeResult(turns=turns, speakers=speakers)
        yield asr_service_pb2.DiarizeResponse(result=result)

    async def ListVoices(self, request, timeout):
        voice = tts_service_pb2.Voice(
            id="a:b", language="es", gender=tts_service_pb2.VOICE_GENDER_MALE, engine="a", pitch_hz=101
        )
        return tts_service_pb2.ListVoicesResponse(voices=[voice])


async def test_each_speaker_comes_once_with_the_voice_that_is_described():
    async with grpc.aio.insecure_channel("localhost:1") as channel:
        client, stub = AsrClient(channel), Answers()
        client._stub = stub  # type: ignore[assignment]
        found = await client.diarize(ObjectRef("file:///a", "0" * 64, 1, "audio/wav"), [(0, 900)], 900, 2)
    assert found.each == (Speaker("speaker_1", "female", 204), Speaker("speaker_2"))
    assert stub.speakers == 2


class Replaced:
    """Results of an engine that took over, as the services give them."""

    def __init__(self, engine: EngineInfo) -> None:
        self.engine = engine_use_to_proto(engine)

    def Transcribe(self, request, timeout):
        return Stream(asr_service_pb2.TranscribeResponse(result=asr_service_pb2.TranscribeResult(engine=self.engine)))

    def Translate(self, request, timeout):
        segments = [translate_service_pb2.TranslatedSegment(id="0.0", text="Hola.")]
        result = translate_service_pb2.TranslateResult(segments=segments, engine=self.engine)
        return Stream(translate_service_pb2.TranslateResponse(result=result))


class Stream:
    """The stream of one message."""

    def __init__(self, message: Any) -> None:
        self.message = message

    def cancel(self) -> bool:
        return False

    async def __aiter__(self):
        yield self.message


async def test_a_result_comes_with_the_engines_that_failed_before_the_one_that_made_it():
    stub: Any = Replaced(EngineInfo("second", version="1", after=(Failed("first", "engine_failed"),)))
    async with grpc.aio.insecure_channel("localhost:1") as channel:
        asr, translate = AsrClient(channel), TranslateClient(channel)
        asr._stub = translate._stub = stub
        words = await asr.transcribe(ObjectRef("file:///a", "0" * 64, 1, "audio/wav"), [(0, 900)], "en", "")
        texts = await translate.translate("en", "es", [SourceLine("0.0", "Hello.", 20)], (), "")
    expected = (EngineUse("second", "", "1"), (EngineFailure("first", "engine_failed"),))
    assert (words.engine, words.after) == (texts["0.0"].engine, texts["0.0"].after) == expected


async def test_voices_come_with_gender_and_pitch():
    async with grpc.aio.insecure_channel("localhost:1") as channel:
        client = TtsClient(channel)
        client._stub = Answers()  # type: ignore[assignment]
        assert await client.voices("es", "") == [Voice("a:b", "es", "male", "a", 101)]
