"""Runs of a job after its first: resumed, or made again for edited lines, each under credits of its own."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from onevoice_jobs.control import resume_job
from onevoice_jobs.queries import get_job
from onevoice_jobs.records import JobRecord
from onevoice_jobs.runs import edit_translation, list_runs, start_edit_run, unpaid_changes
from onevoice_jobs.states import RunReason, check_new_run
from onevoice_kit.db import transaction
from onevoice_kit.errors import Conflict
from services.gateway.clients.billing import BillingClient
from services.gateway.idempotency.service import Answer, Attempt, CreatingCall, Idempotency
from services.gateway.jobs.schemas import EditedLineOut, JobOut, RunOut, Runs
from services.gateway.videos.models import VideoStatus
from services.gateway.videos.repository import get_video

RESUME_JOB = "resume_job"
REGENERATE_JOB = "regenerate_job"


class JobRuns:
    """
    Starts runs of jobs. Each has a reservation of its own, under the id of the attempt, since one that is closed stays
    closed; those of a call that died are released as for a submission.
    """

    def __init__(self, engine: AsyncEngine, billing: BillingClient, idempotency: Idempotency) -> None:
        self._engine = engine
        self._billing = billing
        self._idempotency = idempotency

    async def list(self, user_id: UUID, job_id: UUID) -> Runs:
        """The runs of a job in their order."""
        async with transaction(self._engine) as connection:
            return Runs(items=[RunOut.of(run) for run in await list_runs(connection, user_id, job_id)])

    async def edit(self, user_id: UUID, job_id: UUID, language: str, index: int, text: str) -> EditedLineOut:
        """
        Gives a translated line a new text, for the next run. Raises `NotFound` (`job_not_found`, `line_not_found`),
        `Conflict` (`invalid_transition`).
        """
        async with transaction(self._engine) as connection:
            edit = await edit_translation(connection, user_id, job_id, language, index, text)
        return EditedLineOut(language=language, index=index, text=edit.text, revision=edit.revision)

    async def regenerate(self, user_id: UUID, job_id: UUID, key: str | None) -> Answer:
        """
        Makes a completed job again where lines were edited. Raises `NotFound` (`job_not_found`), `Conflict`
        (`invalid_transition`, `nothing_edited`, `edited_meanwhile`, `video_gone`), `QuotaExceeded`
        (`insufficient_credits`).

        The price is that of the edited lines: their length in the source, each counted once for its language.
        """
        call = CreatingCall(user_id, key, REGENERATE_JOB, {"job_id": str(job_id)})
        async with self._idempotency.attempt(call) as attempt:
            if attempt.answer is not None:
                return attempt.answer
            async with transaction(self._engine) as connection:
                job = await self._startable(connection, user_id, job_id, RunReason.EDIT)
                changed = await unpaid_changes(connection, user_id, job_id)
            price = (await self._billing.quote(sum(changed.values()), 1)).credits
            reservation = await self._reserve(attempt, job, price)
            async with transaction(self._engine) as connection:
                await self._startable(connection, user_id, job_id, RunReason.EDIT, lock=True)
                await start_edit_run(
                    connection,
                    user_id,
                    job_id,
                    reservation_id=reservation,
                    quoted_credits=price,
                    changed_ms=changed,
                )
                return await _finish(attempt, connection, user_id, job_id)

    async def resume(self, user_id: UUID, job_id: UUID, key: str | None) -> Answer:
        """
        Makes a failed or cancelled job go on after its last good step. Raises `NotFound` (`job_not_found`), `Conflict`
        (`invalid_transition`, `video_gone`), `QuotaExceeded` (`insufficient_credits`).

        Where the run before was settled, it is paid for, and nothing is reserved.
        """
        call = CreatingCall(user_id, key, RESUME_JOB, {"job_id": str(job_id)})
        async with self._idempotency.attempt(call) as attempt:
            if attempt.answer is not None:
                return attempt.answer
            async with transaction(self._engine) as connection:
                job = await self._startable(connection, user_id, job_id, RunReason.RESUME)
            paid = await self._billing.close(job.reservation)
            reservation = None if paid else await self._reserve(attempt, job, job.quoted_credits)
            async with transaction(self._engine) as connection:
                await self._startable(connection, user_id, job_id, RunReason.RESUME, lock=True)
                await resume_job(connection, user_id, job_id, reservation_id=reservation)
                return await _finish(attempt, connection, user_id, job_id)

    async def _startable(
        self, connection: AsyncConnection, user_id: UUID, job_id: UUID, reason: RunReason, *, lock: bool = False
    ) -> JobRecord:
        job = (await get_job(connection, user_id, job_id)).job
        check_new_run(job.status, reason)
        # Locked: the video is not deleted while the run is being started.
        video = await get_video(connection, user_id, job.video_id, lock=lock)
        if video is None or video.status is not VideoStatus.READY:
            raise Conflict("The video of this job is gone.", reason="video_gone")
        return job

    async def _reserve(self, attempt: Attempt, job: JobRecord, amount: int) -> str:
        attempt.leaves_traces = True
        await self._billing.reserve(job.user_id, attempt.resource_id, amount, job_id=job.id)
        return str(attempt.resource_id)


async def _finish(attempt: Attempt, connection: AsyncConnection, user_id: UUID, job_id: UUID) -> Answer:
    body = JobOut.of(await get_job(connection, user_id, job_id)).model_dump(mode="json")
    return await attempt.finish(connection, Answer(202, body))
