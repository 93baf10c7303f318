"""The job engine as a worker uses it: one port, and its adapter on PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs import leases, parking, workers
from onevoice_jobs.leases import Claim, Lease, Refused, Renewal
from onevoice_jobs.parking import Wait
from onevoice_jobs.postgres_store import PostgresJobStore
from onevoice_jobs.store import JobStore


class Jobs(Protocol):
    """Claims and leases of jobs, and the heartbeats of their workers. Times are the database's."""

    async def claim(
        self, job_id: UUID, owner: str, *, ttl_s: float, max_attempts: int, sent_at: datetime | None = None
    ) -> Claim | Refused:
        """See `leases.claim`."""
        ...

    async def renew(self, lease: Lease, *, ttl_s: float) -> Renewal:
        """See `leases.renew`."""
        ...

    async def give_back(self, lease: Lease, *, count_attempt: bool) -> None:
        """See `leases.give_back`."""
        ...

    async def park(self, lease: Lease, wait: Wait) -> None:
        """See `parking.park`."""
        ...

    def store(self, lease: Lease) -> JobStore:
        """The store of the lease's holder."""
        ...

    async def heartbeat(self, worker_id: str, *, version: str, slots: int, busy: int) -> None:
        """Shows that a worker lives and how much it does."""
        ...

    async def deregister(self, worker_id: str) -> None:
        """Removes a worker that stops in good order from the table of workers."""
        ...


class PostgresJobs:
    """The engine on the tables of schema `jobs`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def claim(
        self, job_id: UUID, owner: str, *, ttl_s: float, max_attempts: int, sent_at: datetime | None = None
    ) -> Claim | Refused:
        """See `leases.claim`."""
        return await leases.claim(self._engine, job_id, owner, ttl_s=ttl_s, max_attempts=max_attempts, sent_at=sent_at)

    async def renew(self, lease: Lease, *, ttl_s: float) -> Renewal:
        """See `leases.renew`."""
        return await leases.renew(self._engine, lease, ttl_s=ttl_s)

    async def give_back(self, lease: Lease, *, count_attempt: bool) -> None:
        """See `leases.give_back`."""
        await leases.give_back(self._engine, lease, count_attempt=count_attempt)

    async def park(self, lease: Lease, wait: Wait) -> None:
        """See `parking.park`."""
        await parking.park(self._engine, lease, wait)

    def store(self, lease: Lease) -> JobStore:
        """A store whose every write is fenced by the lease."""
        return PostgresJobStore(self._engine, lease)

    async def heartbeat(self, worker_id: str, *, version: str, slots: int, busy: int) -> None:
        """See `workers.heartbeat`."""
        await workers.heartbeat(
            self._engine, worker_id, service="orchestrator", version=version, slots=slots, busy=busy
        )

    async def deregister(self, worker_id: str) -> None:
        """See `workers.deregister`."""
        await workers.deregister(self._engine, worker_id)
