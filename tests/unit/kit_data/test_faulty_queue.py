"""The fault layer makes the given faults, and the same again from the same seed."""

from __future__ import annotations

from collections.abc import Sequence

from onevoice_kit.queue.base import Delivery, QueueDepth
from onevoice_kit.testing.faulty_queue import Faults, FaultyQueue


class _ListQueue:
    """Hands out numbered deliveries and notes what is deleted."""

    def __init__(self, count: int) -> None:
        self.left = [Delivery(str(n), str(n), {}, 1, f"h{n}") for n in range(count)]
        self.deleted: list[str] = []

    async def receive(self, *, max_messages: int = 1, wait_s: float = 20.0) -> Sequence[Delivery]:
        taken, self.left = self.left[:max_messages], self.left[max_messages:]
        return taken

    async def delete(self, delivery: Delivery) -> None:
        self.deleted.append(delivery.id)

    async def extend(self, delivery: Delivery, seconds: int) -> None:
        """Nothing to extend."""

    async def release(self, delivery: Delivery, *, delay_s: int = 0) -> None:
        """Nothing to release."""

    async def dead_letter(self, delivery: Delivery, reason: str) -> None:
        """No dead letters."""

    async def depth(self) -> QueueDepth:
        return QueueDepth(len(self.left), 0, None)

    async def close(self) -> None:
        """Nothing to close."""


async def _drain(queue: FaultyQueue) -> list[str]:
    ids: list[str] = []
    for _ in range(60):
        ids += [delivery.id for delivery in await queue.receive(max_messages=4)]
    return ids


async def test_without_faults_everything_comes_once_and_in_order():
    assert await _drain(FaultyQueue(_ListQueue(20), 1, Faults())) == [str(n) for n in range(20)]


async def test_duplicates_come_later_and_nothing_is_lost():
    queue = FaultyQueue(_ListQueue(50), 1, Faults(duplicate=0.3))
    ids = await _drain(queue)
    assert set(ids) == {str(n) for n in range(50)}
    assert len(ids) == 50 + queue.counts["duplicate"] > 50


async def test_delayed_and_reordered_messages_all_arrive():
    queue = FaultyQueue(_ListQueue(50), 1, Faults(delay=0.3, reorder=0.5))
    ids = await _drain(queue)
    assert sorted(ids, key=int) == [str(n) for n in range(50)]
    assert ids != sorted(ids, key=int)
    assert queue.counts["delay"] > 0


async def test_a_lost_delete_is_not_done():
    inner = _ListQueue(40)
    queue = FaultyQueue(inner, 1, Faults(lose_delete=0.5))
    for delivery in await queue.receive(max_messages=40):
        await queue.delete(delivery)
    assert len(inner.deleted) == 40 - queue.counts["lose_delete"]
    assert 0 < queue.counts["lose_delete"] < 40


async def test_a_seed_repeats_its_faults():
    faults = Faults(duplicate=0.2, delay=0.2, reorder=0.2)
    first, again, other = [await _drain(FaultyQueue(_ListQueue(50), seed, faults)) for seed in (7, 7, 8)]
    assert first == again
    assert first != other
