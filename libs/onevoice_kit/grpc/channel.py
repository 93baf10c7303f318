"""A gRPC channel that adds deadline, trace, metrics and kit errors to every call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

import grpc

from onevoice_kit.errors import DeadlineExceeded, Internal
from onevoice_kit.grpc.calls import Observation, StreamCall, UnaryCall
from onevoice_kit.grpc.context import remaining

Metadata = Iterable[tuple[str, str | bytes]]


class Channel(grpc.aio.Channel):
    """
    Wraps a plain channel.

    Not gRPC's client interceptors: for streams they hide the call behind another task, which loses cancellation.
    """

    def __init__(self, raw: grpc.aio.Channel) -> None:
        self._raw = raw

    def unary_unary(self, method: str, *args: Any, **options: Any) -> Any:
        """gRPC's hook for stubs."""
        return _Method(method, self._raw.unary_unary(method, *args, **options), UnaryCall)

    def unary_stream(self, method: str, *args: Any, **options: Any) -> Any:
        """gRPC's hook for stubs."""
        return _Method(method, self._raw.unary_stream(method, *args, **options), StreamCall)

    def stream_unary(self, method: str, *args: Any, **options: Any) -> Any:
        """gRPC's hook for stubs."""
        return _Method(method, self._raw.stream_unary(method, *args, **options), UnaryCall)

    def stream_stream(self, method: str, *args: Any, **options: Any) -> Any:
        """gRPC's hook for stubs."""
        return _Method(method, self._raw.stream_stream(method, *args, **options), StreamCall)

    async def close(self, grace: float | None = None) -> None:
        """Closes the connections; calls still running are cancelled after `grace` seconds."""
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
    """What a stub holds for one method."""

    def __init__(self, method: str, raw: Callable[..., Any], wrap: Callable[[Any, Observation], Any]) -> None:
        self._method, self._raw, self._wrap = method, raw, wrap

    def __call__(
        self, request: Any = None, *, timeout: float | None = None, metadata: Metadata | None = None, **options: Any
    ) -> Any:
        budget = _budget(self._method, timeout)
        observation = Observation(self._method)
        traced = (*(metadata or ()), *observation.metadata)
        return self._wrap(self._raw(request, timeout=budget, metadata=traced, **options), observation)


def _budget(method: str, timeout: float | None) -> float:
    if timeout is None:
        raise Internal(f"The call to {method} has no deadline.", reason="deadline_missing")
    left = remaining()
    if left is not None and left <= 0:
        raise DeadlineExceeded("No time is left for another call.", reason="deadline_exceeded")
    return timeout if left is None else min(timeout, left)
