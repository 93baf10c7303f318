"""Wraps handlers of all four kinds of call into the same layers."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import grpc

from onevoice_kit.errors import OneVoiceError

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Context], Awaitable[Any]]

_INFRASTRUCTURE = "/grpc."
"""Health and reflection answer even where the service is full, and are no traffic to count."""


@dataclass(slots=True)
class ServedCall:
    """One call on its way through the layers."""

    method: str
    """`/package.Service/Method`."""
    metadata: Mapping[str, str | bytes]
    context: Context
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
        """Since the call was taken up."""
        return time.monotonic() - self.started_at


Layer = Callable[[ServedCall], AbstractAsyncContextManager[None]]
"""What happens around a call; exceptions of the inside pass through it."""


class Layers(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in its types only
    """Runs every call of the served packages inside the layers, the first outermost."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = tuple(layers)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """gRPC's hook, once per call."""
        handler: Any = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(_INFRASTRUCTURE):
            return handler  # type: ignore[no-any-return]  # None means UNIMPLEMENTED, which the types do not know.
        return _rewrap(handler, self._around(method, dict(handler_call_details.invocation_metadata or ()), handler))

    def _around(self, method: str, metadata: Mapping[str, str | bytes], handler: Any) -> Behaviour:
        inner = _streaming(handler) if handler.response_streaming else _unary(handler)

        async def behaviour(request: Any, context: Context) -> Any:
            call = ServedCall(method, metadata, context)
            async with AsyncExitStack() as stack:
                for layer in self._layers:
                    await stack.enter_async_context(layer(call))
                return await inner(request, context)

        return behaviour


def _unary(handler: Any) -> Behaviour:
    serve = handler.stream_unary if handler.request_streaming else handler.unary_unary

    async def behaviour(request: Any, context: Context) -> Any:
        response = serve(request, context)
        return await response if inspect.isawaitable(response) else response

    return behaviour


def _streaming(handler: Any) -> Behaviour:
    """
    Writes the answers from one coroutine, whatever form the servicer has.

    So a cancelled call unwinds the layers and the servicer's generator in its own task and context, at once.
    """
    serve = handler.stream_stream if handler.request_streaming else handler.unary_stream

    async def behaviour(request: Any, context: Context) -> None:
        answers = serve(request, context)
        if inspect.isawaitable(answers):
            answers = await answers  # A servicer that writes by itself, or one that returns its iterator.
        if answers is None:
            return
        async with AsyncExitStack() as stack:
            if isinstance(answers, AsyncGenerator):
                stack.push_async_callback(answers.aclose)
            async for answer in answers:
                await context.write(answer)

    return behaviour


def _rewrap(handler: Any, behaviour: Behaviour) -> grpc.RpcMethodHandler[Any, Any]:
    make: Any = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[handler.request_streaming, handler.response_streaming]
    return make(behaviour, handler.request_deserializer, handler.response_serializer)  # type: ignore[no-any-return]
