"""Parts that the clients share: deadlines of calls, and the engines of a service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

from onevoice.asr.v1.asr_service_pb2 import DiarizeResult, TranscribeResult
from onevoice.common.v1.engine_pb2 import Engine as EngineMessage
from onevoice.common.v1.engine_pb2 import EngineUse as EngineUseMessage
from onevoice.translate.v1.translate_service_pb2 import SummarizeResult, TranslateResult
from onevoice.tts.v1.tts_service_pb2 import SynthesizeResponse

from ..policy.line import EngineFailure, EngineUse

T = TypeVar("T")
SHORT_S = 30.0
"""Deadline of a call whose work does not grow with the media."""
KEEP_S = 30.0
"""A service's lists of engines and voices change with its deployment, so a worker fetches them no more often."""


def for_media(duration_ms: int, per_second: float, base_s: float = 120.0) -> float:
    """Seconds for work that takes at most `per_second` seconds for each second of media."""
    return base_s + duration_ms / 1000 * per_second


def engine_from_proto(message: EngineUseMessage) -> EngineUse:
    """The engine's name, model and version."""
    return EngineUse(message.name, message.model, message.version)


def failures_from_proto(message: EngineUseMessage) -> tuple[EngineFailure, ...]:
    """The engines that failed before this one made the result."""
    return tuple(EngineFailure(failure.engine, failure.reason) for failure in message.after)


def cost_from_proto(
    message: DiarizeResult | TranscribeResult | TranslateResult | SummarizeResult | SynthesizeResponse,
) -> int | None:
    """The cost of a result, millionths of a US dollar; None where the service does not know it."""
    return message.cost_microusd if message.HasField("cost_microusd") else None


def candidates(engines: Iterable[EngineMessage], named: str) -> list[EngineUse]:
    """The identities of the engines that can work, in the order of preference; of the named one alone where given."""
    able = [engine for engine in engines if engine.available and named in ("", engine.name)]
    return [EngineUse(engine.name, engine.model, engine.version) for engine in able]


class Recent(Generic[T]):
    """A reply that is fetched again after `KEEP_S`."""

    def __init__(self, fetch: Callable[[], Awaitable[T]]) -> None:
        self._fetch = fetch
        self._kept: tuple[float, T] | None = None

    async def __call__(self) -> T:
        """The kept reply, or a new one."""
        now = asyncio.get_running_loop().time()
        if self._kept is None or now - self._kept[0] > KEEP_S:
            self._kept = (now, await self._fetch())
        return self._kept[1]
