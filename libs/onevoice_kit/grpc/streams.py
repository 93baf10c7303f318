"""Long calls as server streams: progress while the work runs, the result as the last message."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Protocol, TypeVar

from onevoice_kit.errors import Internal, Unavailable

T = TypeVar("T")
MessageT = TypeVar("MessageT")
MessageT_co = TypeVar("MessageT_co", covariant=True)
ResultT = TypeVar("ResultT")
ResultT_co = TypeVar("ResultT_co", covariant=True)

Report = Callable[[float], None]
"""Reports the fraction of the work that is done, 0 to 1. Cheap, and may be called from any thread."""
OnProgress = Callable[[float], Awaitable[None] | None]

_PENDING_MESSAGES = 16


class ServerStream(Protocol[MessageT_co]):
    """A running call whose responses are a stream."""

    def __aiter__(self) -> AsyncIterator[MessageT_co]: ...

    def cancel(self) -> bool: ...


class ResponseWithResult(Protocol[ResultT_co]):
    """A message with `oneof event { progress | … | result }`."""

    @property
    def progress(self) -> Any: ...

    @property
    def result(self) -> ResultT_co: ...

    def WhichOneof(self, oneof_group: Any) -> str | None:  # noqa: N802 - protobuf's name
        ...


async def final_result(
    call: ServerStream[ResponseWithResult[ResultT]],
    *,
    idle_timeout_s: float = 60.0,
    on_progress: OnProgress | None = None,
    on_other: Callable[[Any], None] | None = None,
) -> ResultT:
    """
    Reads the stream to its end and returns the result.

    `on_progress` gets every fraction, 0 to 1; `on_other` gets the messages that are neither progress nor result.

    Raises whatever the call raises, `Unavailable` (reason `stream_stalled`) where nothing comes for
    `idle_timeout_s`, `Internal` (reason `no_result`) where the stream ends without a result.
    """
    result: ResultT | None = None
    async with aclosing(messages(call, idle_timeout_s=idle_timeout_s)) as stream:
        async for message in stream:
            event = message.WhichOneof("event")
            if event == "result":
                result = message.result
            elif event == "progress" and on_progress is not None:
                waiting = on_progress(message.progress.fraction)
                if waiting is not None:
                    await waiting
            elif event != "progress" and on_other is not None:
                on_other(message)
    if result is None:
        raise Internal("A service ended its answer without a result.", reason="no_result")
    return result


async def messages(call: ServerStream[MessageT], *, idle_timeout_s: float = 60.0) -> AsyncGenerator[MessageT, None]:
    """
    Every message of the stream, for callers that want more than progress and result; use it within `aclosing`.

    The call is cancelled when the caller stops reading. Errors as `final_result`, except `no_result`.
    """
    stream = aiter(call)
    try:
        while True:
            try:
                async with asyncio.timeout(idle_timeout_s):
                    message = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise Unavailable("A service stopped saying how far it is.", reason="stream_stalled") from error
            yield message
    finally:
        call.cancel()  # Ends the span, also of a call that ended before it was read to its end.


def with_progress(
    work: Callable[[Report], Awaitable[T]],
    to_progress: Callable[[float], MessageT],
    to_result: Callable[[T], MessageT],
    *,
    min_interval_s: float = 0.5,
    max_interval_s: float = 5.0,
) -> AsyncGenerator[MessageT, None]:
    """
    The answers of a long call: progress while `work(report)` runs, then its result. A servicer may return it.

    Progress is sent when it has changed, at most every `min_interval_s`, and at least every `max_interval_s`; it never
    decreases. The work is cancelled, and waited for, when the caller goes away.
    """
    return with_events(
        lambda report, _emit: work(report),
        to_progress,
        to_result,
        min_interval_s=min_interval_s,
        max_interval_s=max_interval_s,
    )


async def with_events(
    work: Callable[[Report, Callable[[MessageT], Awaitable[None]]], Awaitable[T]],
    to_progress: Callable[[float], MessageT],
    to_result: Callable[[T], MessageT],
    *,
    min_interval_s: float = 0.5,
    max_interval_s: float = 5.0,
) -> AsyncGenerator[MessageT, None]:
    """`with_progress` for work that also sends messages of its own, in order, by `await emit(message)`."""
    queue: asyncio.Queue[MessageT] = asyncio.Queue(_PENDING_MESSAGES)
    pace = _Pace(min_interval_s, max_interval_s)
    task = asyncio.ensure_future(work(pace.report, queue.put))
    try:
        while not task.done() or not queue.empty():
            message = await _next(queue, task, min_interval_s)
            if message is not None:
                yield message
            if pace.is_due() and not task.done():
                yield to_progress(pace.take())
        yield to_result(task.result())
    finally:
        await _stop(task)


class _Pace:
    """Decides when progress is sent again."""

    def __init__(self, min_interval_s: float, max_interval_s: float) -> None:
        self._min, self._max = min_interval_s, max_interval_s
        self._fraction = self._sent = 0.0
        self._sent_at = time.monotonic()

    def report(self, fraction: float) -> None:
        self._fraction = max(self._fraction, min(1.0, fraction))

    def is_due(self) -> bool:
        waited = time.monotonic() - self._sent_at
        return waited >= (self._min if self._fraction > self._sent else self._max)

    def take(self) -> float:
        self._sent, self._sent_at = self._fraction, time.monotonic()
        return self._sent


async def _next(queue: asyncio.Queue[MessageT], task: asyncio.Future[Any], timeout_s: float) -> MessageT | None:
    if not queue.empty():
        return queue.get_nowait()
    getter = asyncio.ensure_future(queue.get())
    try:
        await asyncio.wait({getter, task}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        return getter.result() if getter.done() else None
    finally:
        getter.cancel()


async def _stop(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # Asked for, so that asyncio does not report it as never seen.
