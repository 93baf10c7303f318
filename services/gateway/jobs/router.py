"""Routes of jobs."""

from __future__ import annotations

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from fastapi.responses import StreamingResponse

from onevoice_jobs import queries
from onevoice_jobs.control import request_cancel
from onevoice_jobs.runs import edit_translation, list_runs
from onevoice_jobs.states import JobStatus
from onevoice_kit.errors import Forbidden
from services.gateway.accounts import Caller, Right
from services.gateway.clients.billing import BillingClient
from services.gateway.dependencies import (
    AfterCommitDep,
    CallerDep,
    ConnectionDep,
    Cursor,
    IdempotencyKey,
    Limit,
    part,
    respond,
)
from services.gateway.errors import problems
from services.gateway.jobs.events import EventStreams, parse_last_event_id
from services.gateway.jobs.runs import JobRuns, give_credits_back
from services.gateway.jobs.schemas import DubIn, EditedLineOut, JobIn, JobOut, RunOut, Runs, TranslationIn
from services.gateway.jobs.submission import Submission
from services.gateway.schemas import Language, Page
from services.gateway.uploads.router import IDEMPOTENCY_PROBLEMS

router = APIRouter(prefix="/api/jobs", tags=["jobs"])

SubmissionDep = Annotated[Submission, Depends(part(Submission))]
RunsDep = Annotated[JobRuns, Depends(part(JobRuns))]

NOT_FOUND = (404, "job_not_found")
WISH_PROBLEMS = (
    (402, "insufficient_credits"),
    (422, "unsupported_language_pair"),
    (422, "source_language_required"),
    (422, "source_too_long"),
    (422, "unknown_engine"),
    (422, "unknown_voice"),
    (422, "duplicate_languages"),
    (422, "too_many_languages"),
    *IDEMPOTENCY_PROBLEMS,
)
SUBMIT_PROBLEMS = (
    (403, "priority_not_allowed"),
    (409, "video_not_ready"),
    (422, "burn_in_too_large"),
    *WISH_PROBLEMS,
)

_EVENTS_EXAMPLE = 'id: 7\nevent: job.progress\ndata: {"stage":"transcribe","percent":31.5}\n\n'
LineIndex = Annotated[int, Path(ge=0, le=1_000_000, description="Index of the line in the transcript.")]


def check_priority(caller: Caller, wanted: DubIn) -> None:
    """Raises `Forbidden` (`priority_not_allowed`) for priority `high` from an account without that right."""
    if wanted.priority == "high" and not caller.may(Right.HIGH_PRIORITY):
        raise Forbidden("This account may not submit jobs with high priority.", reason="priority_not_allowed")


@router.post(
    "",
    status_code=202,
    response_model=JobOut,
    summary="Create a job",
    responses=problems((404, "video_not_found"), *SUBMIT_PROBLEMS),
)
async def create_job(wanted: JobIn, caller: CallerDep, submission: SubmissionDep, key: IdempotencyKey) -> Response:
    """Reserves the credits and starts a job that dubs a video into the target languages."""
    check_priority(caller, wanted)
    dub = DubIn.model_validate(wanted.model_dump(exclude={"video_id"}))
    return respond(await submission.submit(caller.user_id, wanted.video_id, dub, key))


@router.get("", summary="List jobs", responses=problems((422, "invalid_cursor")))
async def list_jobs(
    caller: CallerDep,
    connection: ConnectionDep,
    status: Annotated[JobStatus | None, Query(description="Only jobs in this state.")] = None,
    batch: Annotated[UUID | None, Query(description="Only jobs of this batch.")] = None,
    video: Annotated[UUID | None, Query(description="Only jobs of this video.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[JobOut]:
    """Your jobs, newest first."""
    found = await queries.list_jobs(
        connection, caller.user_id, status=status, batch_id=batch, video_id=video, cursor=cursor, limit=limit
    )
    return Page(items=[JobOut.of(view) for view in found.items], next_cursor=found.next_cursor)


@router.get("/{job_id}", summary="Get a job", responses=problems(NOT_FOUND))
async def get_job(job_id: UUID, caller: CallerDep, connection: ConnectionDep) -> JobOut:
    """Status of the job, as a whole and for each language."""
    return JobOut.of(await queries.get_job(connection, caller.user_id, job_id))


@router.get(
    "/{job_id}/events",
    response_class=StreamingResponse,
    summary="Follow a job",
    responses={
        200: {"description": "Server-sent events.", "content": {"text/event-stream": {"example": _EVENTS_EXAMPLE}}},
        **problems(NOT_FOUND, (422, "invalid_last_event_id")),
    },
)
async def follow_job(
    job_id: UUID,
    caller: CallerDep,
    connection: ConnectionDep,
    events: Annotated[EventStreams, Depends(part(EventStreams))],
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="Go on after this event.", examples=["6"])
    ] = None,
) -> StreamingResponse:
    """
    Streams the events of the job, all or those after `Last-Event-ID`, as server-sent events; the data are JSON.
    The stream ends when the job has ended. Types: `job.created`, `job.started`, `job.progress`,
    `source.language`, `segment.recognised`, `terms.found`, `voices.recast`, `line.ready`, `language.completed`,
    `language.failed`, `step.retried`, `job.waiting`, `job.cancel_requested`, `job.resumed`, `job.regenerated`,
    `job.completed`, `job.failed`, `job.cancelled`.
    """
    last_id = parse_last_event_id(last_event_id)
    await queries.get_job(connection, caller.user_id, job_id)
    stream = events.stream(caller.user_id, job_id, last_id)
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


@router.post(
    "/{job_id}/cancel",
    status_code=202,
    summary="Cancel a job",
    responses=problems(NOT_FOUND, (409, "invalid_transition")),
)
async def cancel_job(
    job_id: UUID,
    caller: CallerDep,
    connection: ConnectionDep,
    after: AfterCommitDep,
    billing: Annotated[BillingClient, Depends(part(BillingClient))],
) -> JobOut:
    """
    Stops a job and gives its credits back. Asking again changes nothing; a job that has ended stays as it is. A job
    whose results are made and paid for is delivered: it goes on to `completed`, with `cancel_requested` set.
    """
    status = await request_cancel(connection, caller.user_id, job_id)
    view = await queries.get_job(connection, caller.user_id, job_id)
    if status is JobStatus.CANCELLED:
        after.add(partial(give_credits_back, billing, view.job))
    return JobOut.of(view)


@router.post(
    "/{job_id}/resume",
    status_code=202,
    response_model=JobOut,
    summary="Resume a job",
    responses=problems(
        NOT_FOUND,
        (402, "insufficient_credits"),
        (409, "invalid_transition"),
        (409, "video_gone"),
        *IDEMPOTENCY_PROBLEMS,
    ),
)
async def resume_job(job_id: UUID, caller: CallerDep, runs: RunsDep, key: IdempotencyKey) -> Response:
    """Lets a failed or cancelled job go on after its last good step. Its credits are reserved again."""
    return respond(await runs.resume(caller.user_id, job_id, key))


@router.get("/{job_id}/runs", summary="List the runs of a job", responses=problems(NOT_FOUND))
async def list_job_runs(job_id: UUID, caller: CallerDep, connection: ConnectionDep) -> Runs:
    """The runs of a job: the first, and one for each time that it was resumed or regenerated."""
    return Runs(items=[RunOut.of(run) for run in await list_runs(connection, caller.user_id, job_id)])


@router.patch(
    "/{job_id}/translations/{language}/{index}",
    summary="Edit a translated line",
    responses=problems(NOT_FOUND, (404, "line_not_found"), (409, "invalid_transition")),
)
async def edit_job_translation(
    job_id: UUID,
    language: Language,
    index: LineIndex,
    edit: TranslationIn,
    caller: CallerDep,
    connection: ConnectionDep,
) -> EditedLineOut:
    """
    Gives a line of a completed job a new text, which waits until the job is regenerated. Another edit of the same line
    replaces it.
    """
    edited = await edit_translation(connection, caller.user_id, job_id, language, index, edit.text)
    return EditedLineOut(language=language, index=index, text=edited.text, revision=edited.revision)


@router.post(
    "/{job_id}/regenerate",
    status_code=202,
    response_model=JobOut,
    summary="Regenerate a job",
    responses=problems(
        NOT_FOUND,
        (402, "insufficient_credits"),
        (409, "invalid_transition"),
        (409, "nothing_edited"),
        (409, "edited_meanwhile"),
        (409, "video_gone"),
        *IDEMPOTENCY_PROBLEMS,
    ),
)
async def regenerate_job(job_id: UUID, caller: CallerDep, runs: RunsDep, key: IdempotencyKey) -> Response:
    """
    Makes what depends on the edited lines of a completed job again, as a new revision. The price is the length of the
    edited lines; files of earlier revisions stay available.
    """
    return respond(await runs.regenerate(caller.user_id, job_id, key))
