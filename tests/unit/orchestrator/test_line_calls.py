"""Lines that steps ask for in the same turn of the event loop go into one call, and each has its own end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest

from onevoice.common.v1.media_pb2 import ObjectRef
from onevoice.tts.v1 import tts_service_pb2 as pb
from onevoice_kit.errors import Busy, Internal, InvalidInput, OneVoiceError, Unavailable
from onevoice_kit.grpc.context import object_scope
from onevoice_kit.grpc.errors import error_to_proto
from onevoice_kit.testing.waiting import eventually
from services.orchestrator.clients.lines import MAX_LINES
from services.orchestrator.clients.tts import TtsClient

BUSY = Busy("Speech synthesis is full.", reason="queue_full", retry_after=5.0, details={"a": "b"})


def spoken(text: str, voice: str) -> pb.SynthesizeResponse:
    return pb.SynthesizeResponse(audio=ObjectRef(uri=f"file:///{text}", sha256="0" * 64), natural_ms=9, voice=voice)


class Stub:
    """Answers at once, or when `gate` is set; a line named in `errors` gets its error."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.errors: dict[str, OneVoiceError] = {}
        self.gate: asyncio.Event | None = None
        self.first_ready = asyncio.Event()
        """A stream waits for the gate behind its first line."""
        self.ends_with: Exception | None = None
        self.left_out: str = ""
        self.streams_exist = True
        self.cancelled = 0

    async def Synthesize(self, request: pb.SynthesizeRequest, timeout: float) -> pb.SynthesizeResponse:
        self.calls.append(request)
        await self._wait()
        if request.text in self.errors:
            raise self.errors[request.text]
        return spoken(request.text, request.voice)

    def SynthesizeLines(self, request: pb.SynthesizeLinesRequest, timeout: float) -> Any:
        self.calls.append(request)
        return Stream(self._answers(request))

    async def _answers(self, request: pb.SynthesizeLinesRequest) -> AsyncIterator[pb.SynthesizeLinesResponse]:
        if not self.streams_exist:
            raise Internal("TtsService does not have this method.", reason="unimplemented")
        for line in reversed(request.lines):  # in any order
            if line.text == self.left_out:
                continue
            if line.text in self.errors:
                yield pb.SynthesizeLinesResponse(id=line.id, error=error_to_proto(self.errors[line.text]))
            else:
                yield pb.SynthesizeLinesResponse(id=line.id, result=spoken(line.text, line.voice))
            self.first_ready.set()
            await self._wait()
            if self.ends_with:
                raise self.ends_with

    async def _wait(self) -> None:
        if self.gate is None:
            return
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


class Stream:
    """A call in the form that gRPC has."""

    def __init__(self, answers: AsyncIterator[pb.SynthesizeLinesResponse]) -> None:
        self._answers = answers

    def __aiter__(self) -> AsyncIterator[pb.SynthesizeLinesResponse]:
        return self._answers

    def cancel(self) -> bool:
        return True


@pytest.fixture
def stub() -> Stub:
    return Stub()


@pytest.fixture
async def speak(stub) -> AsyncIterator[Callable[..., asyncio.Task[Any]]]:
    """Begins to speak a line; the task."""
    async with grpc.aio.insecure_channel("localhost:1") as channel:
        client = TtsClient(channel)
        client._lines._stub = stub

        def line(text: str, language: str = "es", prefix: str = "users/u/tts", **more: Any) -> asyncio.Task[Any]:
            return asyncio.create_task(client.speak(text, language, "a:b", prefix, "", **more))

        yield line


async def ends_of(speak: Callable[..., asyncio.Task[Any]], *lines: str) -> list[Any]:
    """The speech or the error of each line."""
    return await asyncio.gather(*map(speak, lines), return_exceptions=True)


def texts(request: Any) -> list[str]:
    return [line.text for line in request.lines]


async def test_lines_of_one_turn_are_one_call(stub, speak):
    found = await asyncio.gather(*map(speak, ["uno", "dos", "tres"]))
    assert [texts(call) for call in stub.calls] == [["uno", "dos", "tres"]]
    assert [speech.audio.uri for speech in found] == ["file:///uno", "file:///dos", "file:///tres"]
    [call] = stub.calls
    assert (call.language, call.output_prefix, call.engine) == ("es", "users/u/tts", "")
    assert {(line.voice, line.rate) for line in call.lines} == {("a:b", 1.0)}


async def test_a_line_alone_is_the_plain_call(stub, speak):
    await speak("uno", neighbours=("cero", "dos"), wanted_ms=1_500)
    [call] = stub.calls
    assert isinstance(call, pb.SynthesizeRequest)
    assert (call.text, call.rate, call.previous_text, call.next_text) == ("uno", 1.0, "cero", "dos")
    assert call.wanted_ms == 1_500


async def test_lines_of_several_have_their_neighbours(stub, speak):
    await asyncio.gather(speak("uno", neighbours=("cero", "dos")), speak("dos", neighbours=("uno", "")))
    [call] = stub.calls
    assert [(line.previous_text, line.next_text) for line in call.lines] == [("cero", "dos"), ("uno", "")]


async def test_lines_of_another_language_job_or_owner_are_calls_of_their_own(stub, speak):
    both = [speak("uno"), speak("one", "en"), speak("uno", prefix="users/u/jobs/2")]
    with object_scope("users/u"):
        both.append(speak("uno"))
    await asyncio.gather(*both)
    assert len(stub.calls) == 4


async def test_a_call_has_no_more_lines_than_the_contract_allows(stub, speak):
    await asyncio.gather(*(speak(str(n)) for n in range(MAX_LINES + 2)))
    assert [len(call.lines) for call in stub.calls] == [MAX_LINES, 2]


async def test_a_line_that_comes_later_does_not_wait_for_a_call_under_way(stub, speak):
    stub.gate = asyncio.Event()
    first = [speak("uno"), speak("dos")]
    await stub.first_ready.wait()
    await first[1]
    later = speak("tres")
    await eventually(lambda: len(stub.calls) == 2)
    stub.gate.set()
    await asyncio.gather(first[0], later)


async def test_a_line_that_fails_raises_its_error_and_the_others_are_spoken(stub, speak):
    stub.errors = {"dos": BUSY, "tres": InvalidInput("Nothing.", reason="nothing_to_speak")}
    ends = await ends_of(speak, "uno", "dos", "tres")
    assert ends[0].audio.uri == "file:///uno"
    assert type(ends[1]) is Busy
    assert (ends[1].reason, ends[1].retry_after, ends[1].retryable, ends[1].details) == (
        "queue_full",
        5.0,
        True,
        {"a": "b"},
    )
    assert (type(ends[2]), ends[2].reason, ends[2].retryable) == (InvalidInput, "nothing_to_speak", False)


async def test_a_call_that_breaks_off_fails_the_lines_that_were_not_ready(stub, speak):
    stub.ends_with = Unavailable("TtsService does not answer.", reason="service_unreachable")
    ends = await ends_of(speak, "uno", "dos", "tres")
    assert [getattr(end, "reason", "spoken") for end in ends] == ["service_unreachable"] * 2 + ["spoken"]
    assert all(end.retryable for end in ends[:2])


async def test_a_call_that_leaves_a_line_out_is_an_error(stub, speak):
    stub.left_out = "dos"
    ends = await ends_of(speak, "uno", "dos")
    assert [getattr(end, "reason", "spoken") for end in ends] == ["spoken", "no_result"]


async def test_a_service_of_the_last_release_gets_the_lines_one_by_one(stub, speak):
    stub.streams_exist, stub.errors = False, {"dos": BUSY}
    ends = await ends_of(speak, "uno", "dos")
    assert [getattr(end, "reason", "spoken") for end in ends] == ["spoken", "queue_full"]
    assert [call.text for call in stub.calls[1:]] == ["uno", "dos"]


async def test_a_line_that_is_given_up_takes_no_other_with_it(stub, speak):
    stub.gate = asyncio.Event()
    lines = [speak("uno"), speak("dos"), speak("tres")]
    await stub.first_ready.wait()
    lines[0].cancel()
    await asyncio.wait([lines[0]])
    stub.gate.set()
    assert [speech.audio.uri for speech in await asyncio.gather(*lines[1:])] == ["file:///dos", "file:///tres"]
    assert stub.cancelled == 0


@pytest.mark.parametrize("count", [1, 3])
async def test_the_last_line_that_is_given_up_ends_the_call_before_it_returns(stub, speak, count):
    stub.gate = asyncio.Event()
    lines = [speak(str(n)) for n in range(count)]
    await eventually(lambda: stub.calls and (count == 1 or stub.first_ready.is_set()))
    for line in lines:
        line.cancel()
    await asyncio.wait(lines)
    assert stub.cancelled == 1


async def test_a_line_given_up_before_its_call_is_not_asked_for(stub, speak):
    lines = [speak("uno"), speak("dos"), speak("tres")]
    await asyncio.sleep(0)  # each has asked; the call is the loop's next turn
    lines[0].cancel()
    await asyncio.gather(*lines, return_exceptions=True)
    assert [texts(call) for call in stub.calls] == [["dos", "tres"]]
