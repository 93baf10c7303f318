"""PostgreSQL notifications: one LISTEN connection per process, many subscribers, reconnects by itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

import asyncpg

from onevoice_kit.db.connections import CONNECT_TIMEOUT_S, LOST, BoundedConnection
from onevoice_kit.db.engine import asyncpg_dsn
from onevoice_kit.retry import Backoff

_log = logging.getLogger(__name__)
_BACKOFF = Backoff(0.2, 5.0, jitter=0.5)

LOOK = ""
"""The payload when listening has just begun or notifications may be lost: read the state from its tables."""


class Subscription:
    """
    Payloads that arrive on one channel. They are hints, so equal ones that wait together become one,
    and when more than `max_pending` wait, all of them become one `LOOK`.
    """

    def __init__(self, listener: Listener, channel: str, only: str | None, max_pending: int) -> None:
        self.channel = channel
        self._listener = listener
        self._only = only
        self._max_pending = max_pending
        self._pending: OrderedDict[str, None] = OrderedDict()
        self._arrived = asyncio.Event()

    def offer(self, payload: str) -> None:
        """Takes a payload for the subscriber, unless it asked for another one only."""
        if self._only is not None and payload not in (self._only, LOOK):
            return
        self._pending[payload] = None
        if len(self._pending) > self._max_pending:
            self._pending.clear()
            self._pending[LOOK] = None
        self._arrived.set()

    async def get(self, timeout_s: float | None = None) -> str | None:
        """The next payload, or None after `timeout_s` seconds without one."""
        with contextlib.suppress(TimeoutError):  # None is the answer then
            async with asyncio.timeout(timeout_s):
                await self._arrived.wait()
        if not self._pending:
            return None
        payload, _ = self._pending.popitem(last=False)
        if not self._pending:
            self._arrived.clear()
        return payload

    def close(self) -> None:
        """Ends the subscription."""
        self._listener.forget(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Listener:
    """Receives notifications for every subscriber of this process. Starts with the first one; `close` ends it."""

    def __init__(self, database_url: str, *, max_pending: int = 1000, probe_s: float = 30.0) -> None:
        """`probe_s` is the time between pings of a silent connection."""
        self._dsn = asyncpg_dsn(database_url)
        self._max_pending = max_pending
        self._probe_s = probe_s
        self._subscriptions: dict[str, set[Subscription]] = defaultdict(set)
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def subscribe(self, channel: str, *, only: str | None = None) -> Subscription:
        """
        A subscription, to be used as a context manager. Its first payload is `LOOK`, once the database listens;
        with `only`, other payloads than this one are left out.
        """
        subscription = Subscription(self, channel, only, self._max_pending)
        self._subscriptions[channel].add(subscription)
        self._changed.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="postgres-listener")
        return subscription

    async def listen(self, channel: str, *, only: str | None = None) -> AsyncIterator[str]:
        """Payloads for as long as the caller iterates; the first is `LOOK`, as after each reconnection."""
        with self.subscribe(channel, only=only) as subscription:
            while (payload := await subscription.get()) is not None:
                yield payload

    def forget(self, subscription: Subscription) -> None:
        """Takes a subscription off; one that is not there is fine."""
        self._subscriptions[subscription.channel].discard(subscription)

    async def close(self) -> None:
        """Ends the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                connection = await self._connect()
                failures = 0
                try:
                    await self._serve(connection)
                finally:
                    await connection.close()
            except LOST as error:
                _log.warning("database notifications interrupted", extra={"error": str(error)})
            failures += 1
            await asyncio.sleep(_BACKOFF.delay_s(failures, random.Random()))

    async def _connect(self) -> asyncpg.Connection[Any]:
        return await asyncpg.connect(
            self._dsn,
            connection_class=BoundedConnection,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=CONNECT_TIMEOUT_S,
        )

    async def _serve(self, connection: asyncpg.Connection[Any]) -> None:
        """Listens to whatever is subscribed until the connection is lost."""
        heard: set[str] = set()
        connection.add_termination_listener(lambda _: self._changed.set())
        while not connection.is_closed():
            self._changed.clear()
            for channel in set(self._subscriptions) - heard:
                await connection.add_listener(channel, self._on_notification)
                heard.add(channel)
                self._offer(channel, LOOK)
            try:
                async with asyncio.timeout(self._probe_s):
                    await self._changed.wait()
            except TimeoutError:
                await connection.execute("SELECT 1")

    def _on_notification(self, _connection: object, _pid: int, channel: str, payload: object) -> None:
        self._offer(channel, str(payload))

    def _offer(self, channel: str, payload: str) -> None:
        for subscription in list(self._subscriptions[channel]):
            subscription.offer(payload)
