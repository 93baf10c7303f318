"""Wraps handlers of all four kinds of call into the same layers."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import grpc

from onevoice_kit.errors import OneVoiceError
from onevoice_kit.grpc.identity import CALLER_KEY, SCOPE_KEY, Calling

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Context], Awaitable[Any]]

_INFRASTRUCTURE = "/grpc."
"""Health and reflection answer anyone, also where the service is full, and are no traffic to count."""


@dataclass(slots=True)
class ServedCall:
    """One call on its way through the layers."""

    method: str
    """`/package.Service/Method`."""
    metadata: Mapping[str, str | bytes]
    context: Context
    payload: Any
    """The request's bytes, or the iterator over a stream of them."""
    parse: Callable[[Any], Any]
    """Makes the request of the payload; raises what protobuf raises."""
    request: Any = None
    """Set by the parsing layer, for the layers inside it."""
    callers: frozenset[str] = frozenset()
    """Names the caller is known by; none where callers are not identified."""
    code: grpc.StatusCode = grpc.StatusCode.OK
    """Set by the error layer; final for the layers outside it."""
    error: OneVoiceError | None = None
    started_at: float = field(default_factory=time.monotonic)

    @property
    def service(self) -> str:
        """`package.Service`."""
        return self.method.strip("/").partition("/")[0]

    @property
    def name(self) -> str:
        """`Method`."""
        return self.method.rpartition("/")[2]

    @property
    def seconds(self) -> float:
        """Time since the call was accepted."""
        return time.monotonic() - self.started_at

    @property
    def calling(self) -> Calling:
        """The facts that a token proves; not proven here."""
        caller, scope = self.metadata.get(CALLER_KEY, ""), self.metadata.get(SCOPE_KEY, "")
        request = self.payload if isinstance(self.payload, bytes) else b""
        return Calling(str(caller), self.method, str(scope), request)


Layer = Callable[[ServedCall], AbstractAsyncContextManager[None]]
"""Runs around a call; exceptions of the inside pass through it."""


class Layers(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in its types only
    """Runs every call of the served packages inside the layers, the first outermost; health has layers of its own."""

    def __init__(self, layers: Sequence[Layer], infrastructure: Sequence[Layer]) -> None:
        self._layers = tuple(layers)
        self._infrastructure = tuple(infrastructure)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """gRPC's hook, once per call."""
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return None  # type: ignore[return-value]  # UNIMPLEMENTED, which the types do not know.
        method = handler_call_details.method
        layers = self._infrastructure if method.startswith(_INFRASTRUCTURE) else self._layers
        metadata = dict(handler_call_details.invocation_metadata or ())
        return _rewrap(handler, _around(layers, method, metadata, handler))


def _around(layers: Sequence[Layer], method: str, metadata: Mapping[str, str | bytes], handler: Any) -> Behaviour:
    inner = _streaming(handler) if handler.response_streaming else _unary(handler)
    parse = _parsing(handler)

    async def behaviour(payload: Any, context: Context) -> Any:
        call = ServedCall(method, metadata, context, payload, parse)
        async with AsyncExitStack() as stack:
            for layer in layers:
                await stack.enter_async_context(layer(call))
            return await inner(call.request, context)

    return behaviour


def _parsing(handler: Any) -> Callable[[Any], Any]:
    parse: Callable[[bytes], Any] = handler.request_deserializer or (lambda payload: payload)

    async def each(payloads: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for payload in payloads:
            yield parse(payload)

    return each if handler.request_streaming else parse


def _unary(handler: Any) -> Behaviour:
    serve = handler.stream_unary if handler.request_streaming else handler.unary_unary

    async def behaviour(request: Any, context: Context) -> Any:
        response = serve(request, context)
        return await response if inspect.isawaitable(response) else response

    return behaviour


def _streaming(handler: Any) -> Behaviour:
    """
    Writes the responses from one coroutine, whatever form the servicer has.

    So a cancelled call unwinds the layers and the servicer's generator in its own task and context, at once.
    """
    serve = handler.stream_stream if handler.request_streaming else handler.unary_stream

    async def behaviour(request: Any, context: Context) -> None:
        responses = serve(request, context)
        if inspect.isawaitable(responses):
            responses = await responses  # A servicer that writes by itself, or one that returns its iterator.
        if responses is None:
            return
        async with AsyncExitStack() as stack:
            if isinstance(responses, AsyncGenerator):
                stack.push_async_callback(responses.aclose)
            async for response in responses:
                await context.write(response)

    return behaviour


def _rewrap(handler: Any, behaviour: Behaviour) -> grpc.RpcMethodHandler[Any, Any]:
    make: Any = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[handler.request_streaming, handler.response_streaming]
    # No deserialiser: it would run outside the layers, and gRPC would send its exception's text to the caller.
    return make(behaviour, None, handler.response_serializer)  # type: ignore[no-any-return]
