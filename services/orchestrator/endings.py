"""The end of a job without a result: money first, then the state. Both may repeat if what follows does not happen."""

from __future__ import annotations

from onevoice_jobs.keys import job_prefix
from onevoice_jobs.records import JobError, JobRecord
from onevoice_jobs.store import JobStore
from onevoice_kit.errors import Conflict, NotFound
from onevoice_kit.storage.base import Storage

from .clients import Clients

OVERDUE = JobError("job_overdue", "The job was not finished before its deadline.")


class Endings:
    """Gives credits back, and ends jobs under a lease that the caller holds."""

    def __init__(self, clients: Clients, storage: Storage) -> None:
        self._billing = clients.billing
        self._storage = storage

    async def fail(self, job: JobRecord, store: JobStore, error: JobError, *, bad_input: bool = False) -> None:
        """Gives the credits back and ends the job as failed. Nothing is kept of a job whose source is bad."""
        spent = await self.give_credits_back(job)
        if bad_input:
            # Nothing of it can be used, also not by a resumed job: a bad file stays bad.
            await store.forget_results()
            await self._storage.delete_prefix(job_prefix(job.user_id, job.id))
        await store.job_failed(error, spent_credits=spent)

    async def give_credits_back(self, job: JobRecord) -> int:
        """
        Releases what is reserved; returns what had been spent before. Such a job is paid for: everything it was to make
        is there, so it is delivered, and only where it dies too often over that it fails and has cost what it has cost.
        """
        if await self._billing.release(job.reservation):
            return 0
        try:
            # Of a reservation that is closed this changes nothing, and gives the answer that was given first.
            return await self._billing.settle(job.reservation, 0)
        except (Conflict, NotFound):  # released before
            return 0
