"""The ports of one simulated process: every call goes over the network and under the watch."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from onevoice_jobs.leases import Claim, Lease, Refused, Renewal
from onevoice_jobs.parking import Wait
from onevoice_jobs.records import Segment, StepRecord, Translation
from onevoice_jobs.store import JobStore
from onevoice_jobs.testing import MemoryJobs, MemoryJobStore
from onevoice_jobs.testing.store import Write
from onevoice_kit.queue.base import Delivery, Queue, QueueDepth
from onevoice_kit.storage.base import ObjectRef, Storage

from .network import Network, Process
from .scenario import Spec
from .watch import Watch

T = TypeVar("T")
_LEASE: contextvars.ContextVar[Lease] = contextvars.ContextVar("lease")
"""Under which lease the present task works."""


class Line:
    """A process's line to everything outside of it."""

    def __init__(self, process: Process, network: Network, watch: Watch, spec_of: Callable[[Lease], Spec]) -> None:
        self.process = process
        self.watch = watch
        self._network = network
        self._spec_of = spec_of

    async def call(self, name: str, effect: Callable[[], Awaitable[T]], detail: str = "") -> T:
        """Calls something outside."""
        return await self._network.call(self.process, name, effect, detail=detail)

    async def stage(self, name: str, answer: Callable[[Spec], T], detail: str = "") -> T:
        """Calls a stage for a step of the job of the present lease."""
        lease, step = _LEASE.get(None), _step()

        async def effect() -> T:
            if lease:
                self.watch.stage_called(lease, step)
            result = answer(self._spec_of(lease) if lease else Spec())
            self.watch.money_moved()
            return result

        who = f"{lease.job_id.hex[:6]} {step}" if lease else ""
        return await self.call(name, effect, f"{who} {detail}")


def _step() -> str:
    """The step that the present task works on; the executor names its tasks so."""
    task = asyncio.current_task()
    name = task.get_name() if task else ""
    return "" if name.startswith("Task-") else name


class LineJobs:
    """The port `Jobs` over a line."""

    def __init__(self, line: Line, jobs: MemoryJobs) -> None:
        self._line = line
        self._jobs = jobs

    async def claim(
        self, job_id: UUID, owner: str, *, ttl_s: float, max_attempts: int, sent_at: datetime | None = None
    ) -> Claim | Refused:
        async def effect() -> Claim | Refused:
            answer = await self._jobs.claim(job_id, owner, ttl_s=ttl_s, max_attempts=max_attempts, sent_at=sent_at)
            if isinstance(answer, Claim):
                self._line.watch.claimed(self._line.process, answer.lease)
            return answer

        return await self._line.call("db.claim", effect, job_id.hex[:6])

    async def renew(self, lease: Lease, *, ttl_s: float) -> Renewal:
        async def effect() -> Renewal:
            renewal = await self._jobs.renew(lease, ttl_s=ttl_s)
            self._line.watch.renewed(self._line.process, renewal.lease)
            return renewal

        return await self._line.call("db.renew", effect, _of(lease))

    async def give_back(self, lease: Lease, *, count_attempt: bool) -> None:
        async def effect() -> None:
            await self._jobs.give_back(lease, count_attempt=count_attempt)
            self._line.watch.given_back(lease)

        await self._line.call("db.give_back", effect, f"{_of(lease)} {count_attempt}")

    async def park(self, lease: Lease, wait: Wait) -> None:
        async def effect() -> None:
            await self._jobs.park(lease, wait)
            self._line.watch.given_back(lease)

        await self._line.call("db.park", effect, f"{_of(lease)} {wait.service}")

    def store(self, lease: Lease) -> JobStore:
        _LEASE.set(lease)
        return LineStore(self._line, self._jobs, lease)

    async def heartbeat(self, worker_id: str, *, version: str, slots: int, busy: int) -> None:
        async def effect() -> None:
            await self._jobs.heartbeat(worker_id, version="", slots=slots, busy=busy)

        await self._line.call("db.heartbeat", effect)

    async def deregister(self, worker_id: str) -> None:
        await self._line.call("db.deregister", lambda: self._jobs.deregister(worker_id))


class LineStore(MemoryJobStore):
    """The store over a line."""

    def __init__(self, line: Line, jobs: MemoryJobs, lease: Lease) -> None:
        super().__init__(jobs, lease)
        self._line = line

    async def completed_steps(self) -> dict[str, StepRecord]:
        return await self._line.call("db.completed_steps", super().completed_steps, _of(self.lease))

    async def segments(self) -> list[Segment]:
        return await self._line.call("db.segments", super().segments, _of(self.lease))

    async def translations(self, language: str) -> list[Translation]:
        read = super().translations
        return await self._line.call("db.translations", lambda: read(language), _of(self.lease))

    async def cancel_requested(self) -> bool:
        return await self._line.call("db.cancel_requested", super().cancel_requested, _of(self.lease))

    async def _write(self, name: str, write: Write) -> None:
        store = super()._write

        async def effect() -> None:
            accepted = self._line.watch.writing(self._line.process, self.lease)
            await store(name, write)
            accepted()

        await self._line.call(f"db.{name}", effect, f"{_of(self.lease)} {_step()}")


class LineQueue:
    """The queue over a line."""

    def __init__(self, line: Line, queue: Queue) -> None:
        self._line = line
        self._queue = queue

    async def receive(self, *, max_messages: int = 1, wait_s: float = 20.0) -> Sequence[Delivery]:
        queue = self._queue
        return await self._line.call("queue.receive", lambda: queue.receive(max_messages=max_messages, wait_s=wait_s))

    async def extend(self, delivery: Delivery, seconds: int) -> None:
        await self._line.call("queue.extend", lambda: self._queue.extend(delivery, seconds), delivery.id)

    async def release(self, delivery: Delivery, *, delay_s: int = 0) -> None:
        detail = f"{delivery.id} {delay_s}"
        await self._line.call("queue.release", lambda: self._queue.release(delivery, delay_s=delay_s), detail)

    async def delete(self, delivery: Delivery) -> None:
        await self._line.call("queue.delete", lambda: self._queue.delete(delivery), delivery.id)

    async def dead_letter(self, delivery: Delivery, reason: str) -> None:
        detail = f"{delivery.id} {reason}"
        await self._line.call("queue.dead_letter", lambda: self._queue.dead_letter(delivery, reason), detail)

    async def depth(self) -> QueueDepth:
        return await self._line.call("queue.depth", self._queue.depth)

    async def close(self) -> None:
        """There is nothing to give back."""


class LineStorage(Storage):
    """The store of objects over a line."""

    def __init__(self, line: Line, storage: Storage) -> None:
        self._line = line
        self._storage = storage

    async def put_bytes(self, key: str, data: bytes, content_type: str) -> ObjectRef:
        put = self._storage.put_bytes
        return await self._line.call("storage.put", lambda: put(key, data, content_type), key.rpartition("/")[2])

    async def get_bytes(self, key: str, max_bytes: int = 16 << 20) -> bytes:
        get = self._storage.get_bytes
        return await self._line.call("storage.get", lambda: get(key, max_bytes), key.rpartition("/")[2])

    def key(self, uri: str) -> str:
        return self._storage.key(uri)

    async def delete_prefix(self, prefix: str) -> int:
        return await self._line.call("storage.delete_prefix", lambda: self._storage.delete_prefix(prefix))


def _of(lease: Lease) -> str:
    return f"{lease.job_id.hex[:6]}.{lease.epoch}"
