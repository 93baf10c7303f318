"""Parking: the wait of a job for a service that is away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_jobs.control import enqueue_job
from onevoice_jobs.events import JOB_WAITING, record_events
from onevoice_jobs.leases import Lease, LeaseLost, held_by
from onevoice_jobs.models import jobs
from onevoice_jobs.records import Event
from onevoice_jobs.rows import JOB_COLUMNS
from onevoice_kit.db import transaction


@dataclass(frozen=True, slots=True)
class Wait:
    """The reason why a job is parked, and for how long."""

    service: str
    """Name of the service that is away, for example `tts`."""
    reason: str
    """Reason of the error that it met."""
    delay_s: float
    """Time until the job is delivered again, seconds; cut to what is left of its deadline."""
    progressed: bool
    """True if a step has completed since the job was claimed: the wait then begins anew."""

    @property
    def stage(self) -> str:
        """The stage that users see."""
        return f"waiting for {self.service}"

    def within(self, left_s: float) -> float:
        """The delay cut to what is left of the job's deadline, where that is not over yet."""
        return min(self.delay_s, left_s) if left_s > 0 else self.delay_s


async def park(engine: AsyncEngine, lease: Lease, wait: Wait) -> None:
    """
    Ends the lease and sends a new message for the job, delivered after `wait.delay_s`, in one transaction.

    The claim does not count as an attempt, and the new message starts with no receives, so a job may wait as long as
    its deadline allows. Raises `LeaseLost` where the lease is over, also for the repetition of a call that had
    succeeded: the caller cannot distinguish the two, and must keep its message, which may be all that the job has.
    """
    statement = (
        update(jobs)
        .where(held_by(lease))
        .values(
            lease_owner=None,
            lease_until=None,
            lease_epoch=jobs.c.lease_epoch + 1,
            attempts=func.greatest(jobs.c.attempts - 1, 0),
            stage=wait.stage,
            waiting_since=func.now() if wait.progressed else func.coalesce(jobs.c.waiting_since, func.now()),
            updated_at=func.now(),
        )
        .returning(*JOB_COLUMNS, func.extract("epoch", jobs.c.deadline_at - func.now()).label("left_s"))
    )
    async with transaction(engine) as connection:
        before = select(jobs.c.waiting_since).where(held_by(lease)).with_for_update()
        held = (await connection.execute(before)).one_or_none()
        if held is None:
            raise LeaseLost(lease.job_id)
        row = (await connection.execute(statement)).one()
        if wait.progressed or held.waiting_since is None:
            await record_events(connection, lease.job_id, [Event(JOB_WAITING, _seen(wait))])
        await enqueue_job(connection, row, delay_s=wait.within(float(row.left_s)))


def _seen(wait: Wait) -> dict[str, Any]:
    return {"stage": wait.stage, "reason": wait.reason}
