"""Resuming a job: reserve its credits anew, then make it pending again in one transaction."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from onevoice_jobs.control import resume_job
from onevoice_jobs.queries import get_job
from onevoice_jobs.records import JobRecord
from onevoice_jobs.states import JobStatus, check_transition
from onevoice_kit.db import transaction
from onevoice_kit.errors import Conflict
from services.gateway.clients.billing import BillingClient
from services.gateway.idempotency.service import Answer, Attempt, CreatingCall, Idempotency
from services.gateway.jobs.schemas import JobOut
from services.gateway.videos.models import VideoStatus
from services.gateway.videos.repository import get_video

RESUME_JOB = "resume_job"


class Resumption:
    """Resumes jobs. What a dead call has reserved is given back as for a submission: under the id of the attempt."""

    def __init__(self, engine: AsyncEngine, billing: BillingClient, idempotency: Idempotency) -> None:
        self._engine = engine
        self._billing = billing
        self._idempotency = idempotency

    async def resume(self, user_id: UUID, job_id: UUID, key: str | None) -> Answer:
        """
        Makes a failed or cancelled job go on after its last good step. Raises `NotFound` (`job_not_found`), `Conflict`
        (`invalid_transition`, `video_gone`), `QuotaExceeded` (`insufficient_credits`).

        Each run has a reservation of its own, since one that is closed stays closed. Where the run before was settled,
        it is paid for, and nothing is reserved.
        """
        call = CreatingCall(user_id, key, RESUME_JOB, {"job_id": str(job_id)})
        async with self._idempotency.attempt(call) as attempt:
            if attempt.answer is not None:
                return attempt.answer
            async with transaction(self._engine) as connection:
                job = await self._resumable(connection, user_id, job_id)
            reservation = await self._reserve(attempt, job)
            async with transaction(self._engine) as connection:
                await self._resumable(connection, user_id, job_id, lock=True)
                await resume_job(connection, user_id, job_id, reservation_id=reservation)
                body = JobOut.of(await get_job(connection, user_id, job_id)).model_dump(mode="json")
                return await attempt.finish(connection, Answer(202, body))

    async def _resumable(
        self, connection: AsyncConnection, user_id: UUID, job_id: UUID, *, lock: bool = False
    ) -> JobRecord:
        job = (await get_job(connection, user_id, job_id)).job
        check_transition(job.status, JobStatus.PENDING)
        # Locked: the video is not deleted while the job is being resumed.
        video = await get_video(connection, user_id, job.video_id, lock=lock)
        if video is None or video.status is not VideoStatus.READY:
            raise Conflict("The video of this job is gone.", reason="video_gone")
        return job

    async def _reserve(self, attempt: Attempt, job: JobRecord) -> str | None:
        if await self._billing.close(job.reservation):
            return None
        attempt.leaves_traces = True
        await self._billing.reserve(job.user_id, attempt.resource_id, job.quoted_credits, job_id=job.id)
        return str(attempt.resource_id)
