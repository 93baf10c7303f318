"""The fence against a claim that is being made at the same moment."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import update

from onevoice_jobs.leases import LeaseLost
from onevoice_jobs.models import jobs
from tests.support.blocked import done_or_blocked


async def test_a_checkpoint_waits_for_a_claim_that_is_being_made(engine, submit, take):
    """And is then too late, though the lease was still its own when it was sent."""
    job_id = await submit()
    store = await take(job_id, ttl_s=0)
    async with engine.connect() as connection:
        claiming = update(jobs).where(jobs.c.id == job_id).values(lease_epoch=jobs.c.lease_epoch + 1)
        await connection.execute(claiming)
        writing = asyncio.create_task(store.finish_step("probe", "h", {}))
        await done_or_blocked(engine, writing)
        await connection.commit()
    with pytest.raises(LeaseLost):
        await writing
