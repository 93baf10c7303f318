"""A queue in memory on the clock of the event loop, for tests; the queue's contract suite runs over it too."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from onevoice_kit.errors import Conflict
from onevoice_kit.queue.base import Delivery, Message, QueueDepth
from onevoice_kit.queue.order import AGE_S, Waiting, in_turn

_TICK_S = 0.001
"""The shortest wait: a timer may fire a little before its time."""


@dataclass
class _Entry:
    number: int
    message: Message
    priority: int
    sent_at: float
    visible_at: float
    handle: str = ""
    held: bool = False
    receives: int = 0


class MemoryQueue:
    """
    The queue port (see `base.Queue`) in memory; groups take turns by the rule of the outbox, `order.in_turn`.

    It dead-letters a message by itself that was received `max_receives` times and not deleted; 0: never.
    """

    def __init__(
        self, visibility_s: float, *, max_receives: int = 0, age_s: float = AGE_S, most_per_group: int = 0
    ) -> None:
        self.dead: list[tuple[Message, str]] = []
        """Dead letters with their reasons."""
        self._visibility_s = visibility_s
        self._max_receives = max_receives
        self._age_s = age_s
        self._most_per_group = most_per_group
        self._entries: dict[str, _Entry] = {}
        self._numbers = 0
        self._handles = 0
        self._closed = False
        self._waiters: list[asyncio.Future[None]] = []

    def send(self, message: Message, priority: int = 0, delay_s: float = 0.0) -> None:
        """Puts a message into the queue, to be delivered after `delay_s`."""
        self._numbers += 1
        now = _now()
        self._entries[str(self._numbers)] = _Entry(self._numbers, message, priority, now, now + delay_s)
        self._wake()

    async def receive(self, *, max_messages: int = 1, wait_s: float = 20.0) -> Sequence[Delivery]:
        """As in the port."""
        deadline = _now() + wait_s
        while True:
            found = self._take(max_messages)
            if found or self._closed or _now() >= deadline:
                return found
            # What is visible already and was not taken waits for another message of its group to be given back.
            changes = [entry.visible_at for entry in self._entries.values() if entry.visible_at > _now()]
            await self._sleep(max(_TICK_S, min([deadline, *changes]) - _now()))

    async def extend(self, delivery: Delivery, seconds: int) -> None:
        """As in the port."""
        entry = self._received(delivery)
        if entry is None or not entry.held or entry.visible_at <= _now():
            raise Conflict("The message is no longer held under this receipt.", reason="stale_receipt")
        entry.visible_at = _now() + seconds

    async def release(self, delivery: Delivery, *, delay_s: int = 0) -> None:
        """As in the port."""
        if entry := self._received(delivery):
            entry.held, entry.handle, entry.visible_at = False, "", _now() + delay_s
            self._wake()

    async def delete(self, delivery: Delivery) -> None:
        """As in the port."""
        if self._received(delivery):
            del self._entries[delivery.id]
            self._wake()

    async def dead_letter(self, delivery: Delivery, reason: str) -> None:
        """As in the port."""
        if entry := self._received(delivery):
            del self._entries[delivery.id]
            self.dead.append((entry.message, reason))
            self._wake()

    async def depth(self) -> QueueDepth:
        """As in the port."""
        now = _now()
        visible = [entry for entry in self._entries.values() if entry.visible_at <= now]
        in_flight = sum(entry.held and entry.visible_at > now for entry in self._entries.values())
        oldest = min((entry.sent_at for entry in visible), default=None)
        return QueueDepth(len(visible), in_flight, None if oldest is None else now - oldest)

    async def close(self) -> None:
        """Ends every wait for messages without one."""
        self._closed = True
        self._wake()

    def __len__(self) -> int:
        return len(self._entries)

    def _received(self, delivery: Delivery) -> _Entry | None:
        """The entry, unless it was received again since."""
        entry = self._entries.get(delivery.id)
        return entry if entry and entry.handle == delivery.handle else None

    def _take(self, max_messages: int) -> list[Delivery]:
        now = _now()
        self._redrive(now)
        busy = Counter(e.message.group_id for e in self._entries.values() if e.held and e.visible_at > now)
        waiting = [
            Waiting(entry.number, entry.message.group_id, entry.priority, now - entry.sent_at)
            for entry in self._entries.values()
            if entry.visible_at <= now
        ]
        turns = in_turn(waiting, busy, self._age_s, self._most_per_group)
        return [self._hand_out(self._entries[str(number)], now) for number in turns[:max_messages]]

    def _hand_out(self, entry: _Entry, now: float) -> Delivery:
        self._handles += 1
        entry.held, entry.handle, entry.visible_at = True, str(self._handles), now + self._visibility_s
        entry.receives += 1
        message = entry.message
        attributes = dict(message.attributes)
        return Delivery(str(entry.number), message.body, attributes, entry.receives, entry.handle, message.group_id)

    def _redrive(self, now: float) -> None:
        for key, entry in list(self._entries.items()):
            if 0 < self._max_receives <= entry.receives and entry.visible_at <= now:
                del self._entries[key]
                self.dead.append((entry.message, "received_too_often"))

    def _wake(self) -> None:
        for waiter in self._waiters:
            _finish(waiter)

    async def _sleep(self, seconds: float) -> None:
        """Waits until a message is sent or given back, at most `seconds`."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, _finish, waiter)
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiters.remove(waiter)


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _now() -> float:
    return asyncio.get_running_loop().time()
