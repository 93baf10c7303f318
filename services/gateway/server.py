"""The connections of the HTTP server: uvicorn's, with bounds on their number and on slow clients."""

from __future__ import annotations

import asyncio
import http
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from onevoice_kit.telemetry.metrics import HTTP_CONNECTIONS, HTTP_CONNECTIONS_CUT, counter, gauge

_LINGER_S = 2.0
"""The rest of a refused body is read and dropped for this long: after a reset the client would not see the response."""
_RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds of one server process."""

    connections: int
    header_s: float
    """From the first byte of a request (or the start of its connection) until its headers are complete."""
    body_window_s: float
    body_bytes_per_s: int
    """A body must bring this much, on average over a window of time in which the application reads it."""
    write_s: float
    """Longest time for which a client may leave a response unread."""


class _Phase(Enum):
    """The thing that a connection waits for."""

    HEAD = auto()
    """The rest of the headers."""
    BODY = auto()
    """The rest of the body."""
    LINGER = auto()
    """The rest of a body that is no longer needed."""
    APPLICATION = auto()
    """The response."""
    IDLE = auto()
    """The next request."""


class _Stopwatch:
    """Adds up times, in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._total_s = 0.0
        self._since: float | None = None

    def restart(self, *, running: bool) -> None:
        self._total_s, self._since = 0.0, self._now() if running else None

    def start(self) -> None:
        if self._since is None:
            self._since = self._now()

    def stop(self) -> None:
        self._total_s, self._since = self.elapsed_s, None

    @property
    def elapsed_s(self) -> float:
        return self._total_s + (0.0 if self._since is None else self._now() - self._since)


class _MeasuredFlow(FlowControl):
    """uvicorn's flow control, which also measures how long the connection was being read."""

    def __init__(self, transport: asyncio.Transport, reading: _Stopwatch) -> None:
        super().__init__(transport)
        self._reading = reading

    def pause_reading(self) -> None:
        super().pause_reading()
        self._reading.stop()

    def resume_reading(self) -> None:
        super().resume_reading()
        self._reading.start()


class BoundedProtocol(H11Protocol):
    """
    One connection, closed when its client is too slow. At the limit of connections the one that has waited longest for
    a request makes room; when every one is at work, a new one gets 503. A body is not read from the socket before the
    application reads it, so that a request without a key costs no memory (uvicorn by itself has none of this).
    """

    limits: ClassVar[ConnectionLimits]
    waiting: ClassVar[dict[BoundedProtocol, None]]
    """Connections without a complete request, the oldest first."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._phase = _Phase.IDLE
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._received = 0
        self._reading = _Stopwatch(self.loop.time)
        self._seen: RequestResponseCycle | None = None
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self.flow = _MeasuredFlow(transport, self._reading)
        gauge(HTTP_CONNECTIONS).set(len(self.connections))
        if len(self.connections) > self.limits.connections and not self._make_room():
            self._refuse()
            return
        self._enter(_Phase.HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        self._cancel_write_timer()
        self.waiting.pop(self, None)
        super().connection_lost(exc)
        gauge(HTTP_CONNECTIONS).set(len(self.connections))

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._received += len(data)
        if self._phase is _Phase.IDLE:
            self._enter(_Phase.HEAD)
        super().data_received(data)
        self._update()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._update()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.limits.write_s, self._cut, "unread_response")

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cancel_write_timer()

    def _update(self) -> None:
        """Enters the phase that the last event has led to. A new request's body waits until it is read."""
        if self.transport.is_closing():
            return
        if self.cycle is not self._seen:
            self._seen = self.cycle
            if self.conn.their_state is h11.SEND_BODY:
                self.flow.pause_reading()
        phase = self._present()
        if phase is not self._phase:
            self._enter(phase)

    def _present(self) -> _Phase:
        answered = self._seen is None or self._seen.response_complete
        if self.conn.their_state is h11.SEND_BODY:
            return _Phase.LINGER if answered else _Phase.BODY
        if not answered:
            return _Phase.APPLICATION
        begun = self.conn.trailing_data[0] or self._phase is _Phase.HEAD
        return _Phase.HEAD if begun else _Phase.IDLE

    def _enter(self, phase: _Phase) -> None:
        self._cancel()
        self._phase = phase
        self.waiting.pop(self, None)
        if phase in (_Phase.HEAD, _Phase.IDLE):
            self.waiting[self] = None
        if phase is _Phase.HEAD:
            self._timer = self.loop.call_later(self.limits.header_s, self._cut, "slow_headers", 408)
        elif phase is _Phase.LINGER:
            self._timer = self.loop.call_later(_LINGER_S, self._cut, "unread_body")
        elif phase is _Phase.IDLE:
            self._timer = self.loop.call_later(self.timeout_keep_alive, self._cut, "idle")
        elif phase is _Phase.BODY:
            self._begin_window()

    def _begin_window(self) -> None:
        self._received = 0
        self._reading.restart(running=not self.flow.read_paused)
        self._timer = self.loop.call_later(self.limits.body_window_s, self._end_window)

    def _end_window(self) -> None:
        # While the application does not read, the client cannot send: that time is none of the client's.
        missing_s = self.limits.body_window_s - self._reading.elapsed_s
        if self._received >= self.limits.body_bytes_per_s * self.limits.body_window_s:
            self._begin_window()
        elif missing_s > 0.001:
            self._timer = self.loop.call_later(missing_s, self._end_window)
        else:
            self._cut("slow_body", 408)

    def _make_room(self) -> bool:
        oldest = next(iter(self.waiting), None)
        if oldest is None:
            return False
        oldest._cut("made_room")  # noqa: SLF001 - another connection of the same server
        return True

    def _refuse(self) -> None:
        counter(HTTP_CONNECTIONS_CUT).labels("too_many").inc()
        self._refused = True
        self.transport.write(_problem(503))
        # Twice the limit is the bound also for those that are being refused.
        linger_s = _LINGER_S if len(self.connections) <= 2 * self.limits.connections else 0
        self._timer = self.loop.call_later(linger_s, self.transport.close)

    def _cut(self, why: str, status: int | None = None) -> None:
        """Ends the connection; with a status, where no response has begun, after that response."""
        counter(HTTP_CONNECTIONS_CUT).labels(why).inc()
        answering = self._seen is not None and self._seen.response_started and not self._seen.response_complete
        self._cancel()
        self.waiting.pop(self, None)
        if answering or self.flow.write_paused:
            self.transport.abort()
            return
        if status is not None:
            self.transport.write(_problem(status))
        self.transport.close()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cancel_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def _problem(status: int) -> bytes:
    """A whole response, for where there is no application to make one."""
    reason, detail = {
        408: ("request_timeout", "The request did not arrive in time."),
        503: ("too_many_connections", "The server has too many connections."),
    }[status]
    title = reason.replace("_", " ").capitalize()
    facts = {"type": f"urn:onevoice:problem:{reason}", "title": title, "status": status, "detail": detail}
    body = json.dumps({**facts, "reason": reason}).encode()
    head = (
        f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nRetry-After: {_RETRY_AFTER_S}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def bounded_protocol(limits: ConnectionLimits) -> type[BoundedProtocol]:
    """The protocol of one server; its connections share these limits."""

    class Protocol(BoundedProtocol):
        pass

    Protocol.limits, Protocol.waiting = limits, {}
    return Protocol
