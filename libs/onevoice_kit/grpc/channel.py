"""A gRPC channel whose calls have a deadline, a proven caller, a trace and metrics, and raise kit errors."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from opentelemetry.trace import SpanKind

from onevoice_kit.errors import DeadlineExceeded, Internal, PreconditionFailed
from onevoice_kit.grpc.context import current_scope, remaining
from onevoice_kit.grpc.errors import from_rpc_error
from onevoice_kit.grpc.identity import SCOPE_KEY, Calling, Tokens
from onevoice_kit.grpc.transport import FileWatch
from onevoice_kit.telemetry import trace
from onevoice_kit.telemetry.metrics import (
    ERROR_REASON,
    GRPC_CLIENT_HANDLED,
    GRPC_CLIENT_SECONDS,
    GRPC_CLIENT_STARTED,
    RPC_CODE,
    RPC_METHOD,
    RPC_SERVICE,
    RPC_SYSTEM,
    counter,
    histogram,
)

_log = logging.getLogger(__name__)
_LONGEST_CALL_S = 4 * 3600.0
"""A connection with old certificates is kept this long for the calls that it carries."""

Metadata = Iterable[tuple[str, str | bytes]]
Serialize = Callable[[Any], bytes]


class Channel(grpc.aio.Channel):
    """
    Wraps a plain channel.

    Not gRPC's client interceptors: for streams they hide the call behind another task, which loses cancellation.
    """

    def __init__(
        self,
        connections: Callable[[], grpc.aio.Channel],
        certificates: FileWatch,
        caller: str = "",
        tokens: Tokens | None = None,
    ) -> None:
        """`connections` opens gRPC's channel, anew after a change of `certificates`. `tokens` prove the `caller`."""
        self._open = connections
        self._certificates = certificates
        self._raw = connections()
        self._ending: dict[asyncio.Future[None], grpc.aio.Channel] = {}
        self._caller = caller
        self._tokens = tokens

    def current(self) -> grpc.aio.Channel:
        """gRPC's channel for the next call; calls under way keep theirs until they end."""
        if self._certificates.changed():
            self._reopen()
        return self._raw

    def _reopen(self) -> None:
        try:
            fresh = self._open()
        except PreconditionFailed as error:
            _log.error("the certificates stay as they were: %s", error.message)
            return
        old, self._raw = self._raw, fresh
        ending = asyncio.ensure_future(old.close(_LONGEST_CALL_S))
        self._ending[ending] = old
        ending.add_done_callback(lambda done: self._ending.pop(done, None))

    def proof(self, method: str, request: bytes) -> Metadata:
        """The metadata that proves the caller of a call and names the objects it may use."""
        scope = current_scope()
        scoped: tuple[tuple[str, str], ...] = ((SCOPE_KEY, scope),) if scope else ()
        if self._tokens is None:
            return scoped
        return (*scoped, *self._tokens.metadata(Calling(self._caller, method, scope, request)))

    def unary_unary(self, method: str, *args: Any, **options: Any) -> Any:
        """gRPC's hook for stubs."""
        return _Method(self, "unary_unary", UnaryCall, method, *args, **options)

    def unary_stream(self, method: str, *args: Any, **options: Any) -> Any:
        """gRPC's hook for stubs."""
        return _Method(self, "unary_stream", StreamCall, method, *args, **options)

    def stream_unary(self, method: str, *args: Any, **options: Any) -> Any:
        """gRPC's hook for stubs."""
        return _Method(self, "stream_unary", UnaryCall, method, *args, **options)

    def stream_stream(self, method: str, *args: Any, **options: Any) -> Any:
        """gRPC's hook for stubs."""
        return _Method(self, "stream_stream", StreamCall, method, *args, **options)

    async def close(self, grace: float | None = None) -> None:
        """Closes the connections; calls still running are cancelled after `grace` seconds."""
        for ending, old in list(self._ending.items()):
            ending.cancel()
            await old.close(grace)
        await self._raw.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """See gRPC."""
        return self._raw.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """See gRPC."""
        await self._raw.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Waits until a connection stands."""
        await self._raw.channel_ready()

    async def __aenter__(self) -> Channel:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.close()


class _Method:
    """One method, as a stub holds it."""

    def __init__(
        self,
        channel: Channel,
        kind: str,
        wrap: Callable[[Any, Observation], Any],
        method: str,
        request_serializer: Serialize | None = None,
        response_deserializer: Any = None,
        **options: Any,
    ) -> None:
        self._channel, self._kind, self._wrap, self._method = channel, kind, wrap, method
        streamed = kind in ("stream_unary", "stream_stream")
        # A single request is serialised here and not in gRPC: its token is made of these bytes.
        self._serialize = None if streamed else request_serializer
        self._arguments = (request_serializer if streamed else None, response_deserializer)
        self._options = options
        self._raw: tuple[grpc.aio.Channel, Callable[..., Any]] | None = None

    def __call__(
        self, request: Any = None, *, timeout: float | None = None, metadata: Metadata | None = None, **options: Any
    ) -> Any:
        budget = _budget(self._method, timeout)
        payload = self._serialize(request) if self._serialize is not None else request
        proof = self._channel.proof(self._method, payload if isinstance(payload, bytes) else b"")
        observation = Observation(self._method)
        sent = (*(metadata or ()), *proof, *observation.metadata)
        return self._wrap(self._callable()(payload, timeout=budget, metadata=sent, **options), observation)

    def _callable(self) -> Callable[..., Any]:
        current = self._channel.current()
        if self._raw is None or self._raw[0] is not current:
            self._raw = current, getattr(current, self._kind)(self._method, *self._arguments, **self._options)
        return self._raw[1]


def _budget(method: str, timeout: float | None) -> float:
    if timeout is None:
        raise Internal(f"The call to {method} has no deadline.", reason="deadline_missing")
    left = remaining()
    if left is not None and left <= 0:
        raise DeadlineExceeded("No time is left for another call.", reason="deadline_exceeded")
    return timeout if left is None else min(timeout, left)


class Observation:
    """Span and metrics of one outgoing call, from its start to its first end."""

    def __init__(self, method: str) -> None:
        self.method = method
        service, _, name = method.strip("/").partition("/")
        self._labels = (service, name)
        attributes = {RPC_SYSTEM: "grpc", RPC_SERVICE: service, RPC_METHOD: name}
        self._span = trace.start(method.strip("/"), SpanKind.CLIENT, attributes)
        self._started_at = time.monotonic()
        self.ended = False
        counter(GRPC_CLIENT_STARTED).labels(*self._labels).inc()

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The entry that carries the trace to the server."""
        traceparent = trace.inject(self._span)
        return (("traceparent", traceparent),) if traceparent else ()

    def end(self, code: grpc.StatusCode, reason: str = "") -> None:
        """Closes the span and counts the call; the first end is the one that counts."""
        if self.ended:
            return
        self.ended = True
        self._span.set_attribute(RPC_CODE, code.value[0])
        if code is not grpc.StatusCode.OK:
            self._span.set_attribute(ERROR_REASON, reason or code.name.lower())
            trace.fail(self._span, reason or code.name.lower())
        self._span.end()
        counter(GRPC_CLIENT_HANDLED).labels(*self._labels, code.name).inc()
        histogram(GRPC_CLIENT_SECONDS).labels(*self._labels).observe(time.monotonic() - self._started_at)


class _Call:
    """The common part of both kinds; anything else of gRPC's call object is reached through it."""

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

    @contextmanager
    def _observed(self) -> Iterator[None]:
        """Raises kit errors instead of gRPC's, and ends the observation with them."""
        try:
            yield
        except grpc.aio.AioRpcError as error:
            translated = from_rpc_error(error, self._observation.method)
            self._observation.end(error.code(), translated.reason)
            raise translated from error
        except DecodeError as error:
            self._observation.end(grpc.StatusCode.INTERNAL, "malformed_response")
            raise Internal("A service sent a response that cannot be read.", reason="malformed_response") from error
        except asyncio.CancelledError:
            self._observation.end(grpc.StatusCode.CANCELLED)
            raise


class UnaryCall(_Call):
    """A call with one response: await it."""

    def __await__(self) -> Generator[Any, None, Any]:
        return self._response().__await__()

    async def _response(self) -> Any:
        with self._observed():
            response = await self._raw
        self._observation.end(grpc.StatusCode.OK)
        return response


class StreamCall(_Call):
    """A call with a stream of responses: iterate over it or `read()` to its end, else `cancel()` it."""

    def __init__(self, raw: Any, observation: Observation) -> None:
        super().__init__(raw, observation)
        self._messages: AsyncIterator[Any] | None = None
        self._ending: asyncio.Future[None] | None = None

    def __aiter__(self) -> StreamCall:
        return self

    async def __anext__(self) -> Any:
        if self._messages is None:
            self._messages = aiter(self._raw)
        try:
            with self._observed():
                return await anext(self._messages)
        except StopAsyncIteration:
            self._observation.end(grpc.StatusCode.OK)
            raise

    async def read(self) -> Any:
        """The next response, or `grpc.aio.EOF`."""
        with self._observed():
            message = await self._raw.read()
        if message is grpc.aio.EOF:  # type: ignore[attr-defined]  # missing in its types
            self._observation.end(grpc.StatusCode.OK)
        return message

    def cancel(self) -> bool:
        """Cancels the call; False where it has ended already. Its span ends in either case."""
        if super().cancel():
            return True
        if not self._observation.ended:
            # It ended unread. Its status is there, but can only be awaited.
            self._ending = asyncio.ensure_future(self._end_as_it_ended())
        return False

    async def _end_as_it_ended(self) -> None:
        self._observation.end(await self._raw.code())
