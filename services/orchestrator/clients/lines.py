"""Lines to speak that are requested in the same turn of the event loop, in one call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import NamedTuple

import grpc

from onevoice.tts.v1 import tts_service_pb2 as pb
from onevoice.tts.v1.tts_service_pb2_grpc import TtsServiceStub
from onevoice_kit.errors import Internal, OneVoiceError
from onevoice_kit.grpc.errors import error_from_proto
from onevoice_kit.grpc.streams import messages

from .base import SHORT_S, for_media

MAX_LINES = 64
"""Most lines of one call, by the contract."""
_LONGEST_S = for_media(0, 0, base_s=600)
"""Lines wait for each other in the service, and a natural voice takes seconds for each."""


class Common(NamedTuple):
    """The facts that lines of one call share."""

    language: str
    prefix: str
    """Key prefix of the results."""
    engine: str
    scope: str
    """Object scope of the caller, which a call carries."""


@dataclass(eq=False, slots=True)
class _Asked:
    line: pb.SynthesizeLine
    answer: asyncio.Future[pb.SynthesizeResponse]
    call: _Call | None = None

    def fail(self, error: BaseException) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


@dataclass(eq=False, slots=True)
class _Call:
    lines: Sequence[_Asked]
    task: asyncio.Task[None] | None = field(default=None)


class LineCalls:
    """
    The calls for lines. Each line has its own end: its own error, or that of the call where the call ended before it.

    A call goes on as long as one of its lines is waited for: a line that is given up takes nothing from the others.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = TtsServiceStub(channel)
        self._gathered: dict[Common, list[_Asked]] = {}

    async def speak(self, common: Common, line: pb.SynthesizeLine) -> pb.SynthesizeResponse:
        """The speech of a line, whose id is set here; raises what the service raises for it."""
        loop = asyncio.get_running_loop()
        asked = _Asked(line, loop.create_future())
        if common not in self._gathered:
            self._gathered[common] = []
            # Steps that become ready together ask within one turn of the loop; nothing is waited for beyond it.
            loop.call_soon(self._send, common)
        self._gathered[common].append(asked)
        try:
            return await asked.answer
        except asyncio.CancelledError:
            await _give_up(asked)
            raise

    def _send(self, common: Common) -> None:
        wanted = [asked for asked in self._gathered.pop(common) if not asked.answer.done()]
        for start in range(0, len(wanted), MAX_LINES):
            call = _Call(wanted[start : start + MAX_LINES])
            for asked in call.lines:
                asked.call = call
            call.task = asyncio.create_task(self._run(common, call.lines))

    async def _run(self, common: Common, lines: Sequence[_Asked]) -> None:
        try:
            if len(lines) == 1:
                await self._one(common, lines[0])
            else:
                await self._several(common, lines)
        finally:
            for asked in lines:
                asked.answer.cancel()  # where there is no answer, because this task is cancelled

    async def _one(self, common: Common, asked: _Asked) -> None:
        line = asked.line
        request = pb.SynthesizeRequest(
            text=line.text,
            language=common.language,
            voice=line.voice,
            rate=line.rate,
            output_prefix=common.prefix,
            engine=common.engine,
            previous_text=line.previous_text,
            next_text=line.next_text,
            wanted_ms=line.wanted_ms,
        )
        try:
            response = await self._stub.Synthesize(request, timeout=_LONGEST_S)
        except Exception as error:  # noqa: BLE001 - raised again where the line is waited for
            asked.fail(error)
        else:
            _answer(asked, response)

    async def _several(self, common: Common, lines: Sequence[_Asked]) -> None:
        try:
            await self._stream(common, lines)
        except OneVoiceError as error:
            if error.reason != "unimplemented":
                _fail(lines, error)
                return
            # A service of the last release has only the call for one line.
            await asyncio.gather(*(self._one(common, asked) for asked in lines))
        except Exception as error:  # noqa: BLE001 - raised again where the lines are waited for
            _fail(lines, error)
        else:
            _fail(lines, Internal("Speech synthesis left out a line.", reason="no_result"))

    async def _stream(self, common: Common, lines: Sequence[_Asked]) -> None:
        by_id = {str(place): asked for place, asked in enumerate(lines)}
        for place, asked in by_id.items():
            asked.line.id = place
        request = pb.SynthesizeLinesRequest(
            lines=[asked.line for asked in lines],
            language=common.language,
            output_prefix=common.prefix,
            engine=common.engine,
        )
        call = self._stub.SynthesizeLines(request, timeout=_LONGEST_S)
        async with aclosing(messages(call, idle_timeout_s=_LONGEST_S + SHORT_S)) as answers:
            async for message in answers:
                if message.HasField("error"):
                    by_id[message.id].fail(error_from_proto(message.error))
                else:
                    _answer(by_id[message.id], message.result)


def _answer(asked: _Asked, response: pb.SynthesizeResponse) -> None:
    if not asked.answer.done():
        asked.answer.set_result(response)


def _fail(lines: Sequence[_Asked], error: BaseException) -> None:
    for asked in lines:
        asked.fail(error)


async def _give_up(asked: _Asked) -> None:
    """Ends the call of a line that is not waited for any more, where no other line of it is, and waits for the end."""
    call = asked.call
    if call is None or call.task is None or not all(other.answer.done() for other in call.lines):
        return
    call.task.cancel()
    await asyncio.wait([call.task])
