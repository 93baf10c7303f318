"""Running calls as a client holds them: they raise kit errors, end their span and are counted once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Generator
from typing import Any

import grpc
from opentelemetry.trace import SpanKind

from onevoice_kit.errors import OneVoiceError
from onevoice_kit.grpc.errors import from_rpc_error
from onevoice_kit.telemetry import trace
from onevoice_kit.telemetry.metrics import counter, histogram
from onevoice_kit.telemetry.names import (
    ERROR_REASON,
    GRPC_CLIENT_HANDLED,
    GRPC_CLIENT_SECONDS,
    GRPC_CLIENT_STARTED,
    RPC_CODE,
    RPC_METHOD,
    RPC_SERVICE,
    RPC_SYSTEM,
)


class Observation:
    """Span and metrics of one outgoing call, from its making to its first end."""

    def __init__(self, method: str) -> None:
        self.method = method
        service, _, name = method.strip("/").partition("/")
        self._labels = (service, name)
        attributes = {RPC_SYSTEM: "grpc", RPC_SERVICE: service, RPC_METHOD: name}
        self._span = trace.start(method.strip("/"), SpanKind.CLIENT, attributes)
        self._started_at = time.monotonic()
        self._ended = False
        counter(GRPC_CLIENT_STARTED).labels(*self._labels).inc()

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What carries the trace to the server."""
        traceparent = trace.inject(self._span)
        return (("traceparent", traceparent),) if traceparent else ()

    def end(self, code: grpc.StatusCode, reason: str = "") -> None:
        """Closes the span and counts the call; the first end is the one that counts."""
        if self._ended:
            return
        self._ended = True
        self._span.set_attribute(RPC_CODE, code.value[0])
        if code is not grpc.StatusCode.OK:
            self._span.set_attribute(ERROR_REASON, reason or code.name.lower())
            trace.fail(self._span, reason or code.name.lower())
        self._span.end()
        counter(GRPC_CLIENT_HANDLED).labels(*self._labels, code.name).inc()
        histogram(GRPC_CLIENT_SECONDS).labels(*self._labels).observe(time.monotonic() - self._started_at)


class _Call:
    """What both kinds share; anything else of gRPC's call object is reached through it."""

    def __init__(self, raw: Any, observation: Observation) -> None:
        self._raw = raw
        self._observation = observation

    def cancel(self) -> bool:
        """Cancels the call; False where it has ended already."""
        cancelled: bool = self._raw.cancel()
        if cancelled:
            self._observation.end(grpc.StatusCode.CANCELLED)
        return cancelled

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def _failed(self, error: grpc.aio.AioRpcError) -> OneVoiceError:
        translated = from_rpc_error(error, self._observation.method)
        self._observation.end(error.code(), translated.reason)
        return translated


class UnaryCall(_Call):
    """A call with one answer: await it."""

    def __await__(self) -> Generator[Any, None, Any]:
        return self._response().__await__()

    async def _response(self) -> Any:
        try:
            response = await self._raw
        except grpc.aio.AioRpcError as error:
            raise self._failed(error) from error
        except asyncio.CancelledError:
            self._observation.end(grpc.StatusCode.CANCELLED)
            raise
        self._observation.end(grpc.StatusCode.OK)
        return response


class StreamCall(_Call):
    """A call with a stream of answers: iterate over it, or `read()`."""

    def __init__(self, raw: Any, observation: Observation) -> None:
        super().__init__(raw, observation)
        self._messages: AsyncIterator[Any] | None = None

    def __aiter__(self) -> StreamCall:
        return self

    async def __anext__(self) -> Any:
        if self._messages is None:
            self._messages = aiter(self._raw)
        try:
            return await anext(self._messages)
        except StopAsyncIteration:
            self._observation.end(grpc.StatusCode.OK)
            raise
        except grpc.aio.AioRpcError as error:
            raise self._failed(error) from error
        except asyncio.CancelledError:
            self._observation.end(grpc.StatusCode.CANCELLED)
            raise

    async def read(self) -> Any:
        """The next answer, or `grpc.aio.EOF`."""
        try:
            message = await self._raw.read()
        except grpc.aio.AioRpcError as error:
            raise self._failed(error) from error
        except asyncio.CancelledError:
            self._observation.end(grpc.StatusCode.CANCELLED)
            raise
        if message is grpc.aio.EOF:  # type: ignore[attr-defined]  # missing in its types
            self._observation.end(grpc.StatusCode.OK)
        return message
