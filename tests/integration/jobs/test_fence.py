"""The fence against a claim or a cancel that is being made at the same moment."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import insert, select, update

from onevoice_jobs.control import request_cancel
from onevoice_jobs.leases import LeaseLost
from onevoice_jobs.models import jobs, steps
from onevoice_jobs.states import JobStatus
from onevoice_jobs.testing import finish_step
from onevoice_kit.db import transaction
from tests.support.blocked import done_or_blocked


async def test_a_checkpoint_waits_for_a_claim_that_is_being_made(engine, submit, take):
    """And is then too late, though the lease was still its own when it was sent."""
    job_id = await submit()
    store = await take(job_id, ttl_s=0)
    async with engine.connect() as connection:
        claiming = update(jobs).where(jobs.c.id == job_id).values(lease_epoch=jobs.c.lease_epoch + 1)
        await connection.execute(claiming)
        writing = asyncio.create_task(finish_step(store, "probe", "h", {}))
        await done_or_blocked(engine, writing)
        await connection.commit()
    with pytest.raises(LeaseLost):
        await writing


async def test_a_cancel_waits_for_a_checkpoint_that_is_being_written(engine, submit, take, user_id):
    """And then sees that the job may be paid for, though its worker was taken for dead when the cancel was sent."""
    job_id = await submit()
    await take(job_id, ttl_s=0)

    async def cancel() -> JobStatus:
        async with transaction(engine) as connection:
            return await request_cancel(connection, user_id, job_id)

    async with engine.connect() as connection:
        await connection.execute(select(jobs.c.id).where(jobs.c.id == job_id).with_for_update(read=True))
        manifest = {"step_key": "manifest", "input_hash": "h", "payment": True, "output": {}, "lease_epoch": 1}
        await connection.execute(insert(steps).values(job_id=job_id, attempt=1, **manifest))
        cancelling = asyncio.create_task(cancel())
        await done_or_blocked(engine, cancelling)
        await connection.commit()
    assert await cancelling is JobStatus.PROCESSING
