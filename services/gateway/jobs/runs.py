"""Runs of a job after its first: resumed, or made again for edited lines, each under credits of its own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from onevoice_jobs.control import resume_job
from onevoice_jobs.queries import get_job
from onevoice_jobs.records import JobRecord
from onevoice_jobs.runs import start_edit_run, unpaid_changes
from onevoice_jobs.states import RunReason, check_new_run
from onevoice_kit.errors import Conflict, OneVoiceError
from services.gateway.clients.billing import BillingClient
from services.gateway.idempotency.service import Answer, Attempt, CreatingCall, Idempotency, Write
from services.gateway.jobs.schemas import JobOut
from services.gateway.videos.repository import VideoStatus, get_video

logger = logging.getLogger(__name__)

RESUME_JOB = "resume_job"
REGENERATE_JOB = "regenerate_job"


class JobRuns:
    """
    Starts runs of jobs. Each has a reservation of its own, under the id of the attempt, since one that is closed stays
    closed; those of a call that died are released as for a submission.
    """

    def __init__(self, billing: BillingClient, idempotency: Idempotency) -> None:
        self._billing = billing
        self._idempotency = idempotency

    async def regenerate(self, user_id: UUID, job_id: UUID, key: str | None) -> Answer:
        """
        Makes a completed job again where lines were edited. Raises `NotFound` (`job_not_found`), `Conflict`
        (`invalid_transition`, `nothing_edited`, `edited_meanwhile`, `video_gone`), `QuotaExceeded`
        (`insufficient_credits`).

        The price is that of the edited lines: their length in the source, each counted once for its language.
        """

        async def look(connection: AsyncConnection) -> tuple[JobRecord, Mapping[str, int]]:
            job = await _startable(connection, user_id, job_id, RunReason.EDIT)
            return job, await unpaid_changes(connection, user_id, job_id)

        call = CreatingCall(user_id, key, REGENERATE_JOB, {"job_id": str(job_id)})
        return await self._idempotency.run(call, self._regenerate, look)

    async def _regenerate(self, attempt: Attempt, seen: tuple[JobRecord, Mapping[str, int]]) -> Write:
        job, changed = seen
        price = (await self._billing.quote(sum(changed.values()), 1)).credits
        reservation = await self._reserve(attempt, job, price)

        async def write(connection: AsyncConnection) -> Answer:
            await _startable(connection, job.user_id, job.id, RunReason.EDIT, lock=True)
            await start_edit_run(
                connection,
                job.user_id,
                job.id,
                reservation_id=reservation,
                quoted_credits=price,
                changed_ms=changed,
            )
            return await _answer(connection, job)

        return write

    async def resume(self, user_id: UUID, job_id: UUID, key: str | None) -> Answer:
        """
        Makes a failed or cancelled job go on after its last good step. Raises `NotFound` (`job_not_found`), `Conflict`
        (`invalid_transition`, `video_gone`), `QuotaExceeded` (`insufficient_credits`).

        Where the run before was settled, it is paid for, and nothing is reserved.
        """

        async def look(connection: AsyncConnection) -> JobRecord:
            return await _startable(connection, user_id, job_id, RunReason.RESUME)

        call = CreatingCall(user_id, key, RESUME_JOB, {"job_id": str(job_id)})
        return await self._idempotency.run(call, self._resume, look)

    async def _resume(self, attempt: Attempt, job: JobRecord) -> Write:
        paid = await self._billing.close(job.reservation)
        reservation = None if paid else await self._reserve(attempt, job, job.quoted_credits)

        async def write(connection: AsyncConnection) -> Answer:
            await _startable(connection, job.user_id, job.id, RunReason.RESUME, lock=True)
            await resume_job(connection, job.user_id, job.id, reservation_id=reservation)
            return await _answer(connection, job)

        return write

    async def _reserve(self, attempt: Attempt, job: JobRecord, amount: int) -> str:
        attempt.leaves_traces = True
        await self._billing.reserve(job.user_id, attempt.resource_id, amount, job_id=job.id)
        return str(attempt.resource_id)


async def give_credits_back(billing: BillingClient, job: JobRecord) -> None:
    """Releases what a cancelled job had reserved; where billing is away, a worker or the sweeper does it later."""
    try:
        await billing.release(job.reservation)
    except OneVoiceError:
        # The worker that meets the cancelled job's message releases the credits too.
        logger.warning("credits of a cancelled job not released yet", extra={"job_id": str(job.id)}, exc_info=True)


async def _startable(
    connection: AsyncConnection, user_id: UUID, job_id: UUID, reason: RunReason, *, lock: bool = False
) -> JobRecord:
    job = (await get_job(connection, user_id, job_id)).job
    check_new_run(job.status, reason)
    # Locked: the video is not deleted while the run is being started.
    video = await get_video(connection, user_id, job.video_id, lock=lock)
    if video is None or video.status is not VideoStatus.READY:
        raise Conflict("The video of this job is gone.", reason="video_gone")
    return job


async def _answer(connection: AsyncConnection, job: JobRecord) -> Answer:
    return Answer(202, JobOut.of(await get_job(connection, job.user_id, job.id)).model_dump(mode="json"))
