"""Faults of a real queue that moto never shows: repeated, delayed and reordered messages, lost deletes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from onevoice_kit.queue.base import Delivery, Queue, QueueDepth


@dataclass(frozen=True, slots=True)
class Faults:
    """The probability of each fault, 0 to 1."""

    duplicate: float = 0.0
    """A delivery comes once more, with the same receipt, in a later receive."""
    delay: float = 0.0
    """A message is taken from the queue, but handed out by a later receive."""
    reorder: float = 0.0
    """The messages of one receive change their order."""
    lose_delete: float = 0.0
    """A delete is answered and not done; the message comes back when its visibility ends."""


class FaultyQueue:
    """A queue with faults from a seed: equal seeds and calls give equal faults. `counts` holds those so far."""

    def __init__(self, queue: Queue, seed: int, faults: Faults) -> None:
        self.counts: Counter[str] = Counter()
        self._queue = queue
        self._random = random.Random(seed)
        self._faults = faults
        self._later: list[Delivery] = []

    async def receive(self, *, max_messages: int = 1, wait_s: float = 20.0) -> Sequence[Delivery]:
        """As in the port, with faults."""
        due, self._later = self._later[:max_messages], self._later[max_messages:]
        room = max_messages - len(due)
        if room:
            # With something in hand there is no reason to wait for more.
            fresh = await self._queue.receive(max_messages=room, wait_s=0 if due else wait_s)
            due += [delivery for delivery in fresh if not self._postponed(delivery)]
        if len(due) > 1 and self._hits("reorder", self._faults.reorder):
            self._random.shuffle(due)
        return due

    async def extend(self, delivery: Delivery, seconds: int) -> None:
        """As in the port."""
        await self._queue.extend(delivery, seconds)

    async def release(self, delivery: Delivery, *, delay_s: int = 0) -> None:
        """As in the port."""
        await self._queue.release(delivery, delay_s=delay_s)

    async def delete(self, delivery: Delivery) -> None:
        """As in the port, but it may be lost."""
        if not self._hits("lose_delete", self._faults.lose_delete):
            await self._queue.delete(delivery)

    async def dead_letter(self, delivery: Delivery, reason: str) -> None:
        """As in the port."""
        await self._queue.dead_letter(delivery, reason)

    async def depth(self) -> QueueDepth:
        """As in the port."""
        return await self._queue.depth()

    async def close(self) -> None:
        """As in the port."""
        await self._queue.close()

    def _postponed(self, delivery: Delivery) -> bool:
        """Keeps the delivery for later, also when it goes out now as well."""
        if self._hits("delay", self._faults.delay):
            self._later.append(delivery)
            return True
        if self._hits("duplicate", self._faults.duplicate):
            self._later.append(delivery)
        return False

    def _hits(self, name: str, likelihood: float) -> bool:
        hit = self._random.random() < likelihood
        self.counts[name] += hit
        return hit
