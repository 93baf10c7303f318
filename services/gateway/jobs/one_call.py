"""The one-call form: a file and a language in, a job out."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from onevoice_jobs.queries import get_job
from services.gateway.dependencies import CallerDep, ConnectionDep, IdempotencyKey, SettingsDep, respond
from services.gateway.errors import InvalidFields, field_error, problems
from services.gateway.jobs.form import ReceivedFile, receive_form
from services.gateway.jobs.router import NOT_FOUND, WISH_PROBLEMS, SubmissionDep
from services.gateway.jobs.schemas import DubbingJobCreated, DubbingJobOut, DubIn, ErrorOut
from services.gateway.schemas import ContentType, Filename, Language, Model

router = APIRouter(prefix="/api/dubbing-jobs", tags=["dubbing-jobs"])

_FORM_SCHEMA = {
    "type": "object",
    "required": ["file", "target_language"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "The video."},
        "target_language": {"type": "string", "description": "BCP-47.", "examples": ["es"]},
        "source_language": {"type": "string", "description": "BCP-47; identified where left out.", "examples": ["en"]},
    },
}


class _Fields(Model):
    target_language: Language
    source_language: Language | None = None
    filename: Filename
    content_type: ContentType


@router.post(
    "",
    status_code=202,
    response_model=DubbingJobCreated,
    summary="Dub a file",
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM_SCHEMA}}}},
    responses=problems(
        (403, "storage_quota_exceeded"),
        (413, "file_too_large"),
        (415, "unsupported_media_type"),
        (400, "malformed_body"),
        (422, "missing_file"),
        (422, "empty_file"),
        (422, "not_media"),
        (422, "no_audio"),
        *WISH_PROBLEMS,
    ),
)
async def create_dubbing_job(
    request: Request, caller: CallerDep, submission: SubmissionDep, settings: SettingsDep, key: IdempotencyKey
) -> Response:
    """Sends a video and starts a job that dubs it into one language. For large files use `videos` and `jobs`."""
    content_type = request.headers.get("content-type", "")
    limit = settings.max_upload_bytes
    async with receive_form(content_type, request.stream(), file_field="file", max_bytes=limit) as form:
        fields = _fields(dict(form.fields), form.file)
        wanted = DubIn(target_languages=[fields.target_language], source_language=fields.source_language)
        return respond(await submission.submit_file(caller.user_id, form.file, wanted, key))


@router.get("/{job_id}", summary="Get a dubbing job", responses=problems(NOT_FOUND))
async def get_dubbing_job(job_id: UUID, caller: CallerDep, connection: ConnectionDep) -> DubbingJobOut:
    """Status of the job, in short; `jobs` has the whole."""
    job = (await get_job(connection, caller.user_id, job_id)).job
    return DubbingJobOut(
        job_id=job.id, status=job.status, progress=round(job.progress, 1), error=ErrorOut.of(job.error)
    )


def _fields(fields: dict[str, str], file: ReceivedFile) -> _Fields:
    try:
        return _Fields.model_validate({**fields, "filename": file.filename, "content_type": file.content_type})
    except ValidationError as error:
        raise InvalidFields([field_error(("body", *item["loc"]), item["msg"]) for item in error.errors()]) from error
