"""Serves the signed URLs of the file storage; where objects are in S3, S3 does it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from onevoice_kit.db import transaction
from onevoice_kit.errors import Conflict, InvalidInput, NotFound
from onevoice_kit.storage.file import FileStorage
from services.gateway.dependencies import EngineDep, StorageDep
from services.gateway.errors import problem_response
from services.gateway.uploads.repository import UploadStatus, status_of_key

router = APIRouter(prefix="/storage", include_in_schema=False)

_RANGE_ERRORS = {
    400: ("malformed_range", "The Range header cannot be read."),
    416: ("range_not_satisfiable", "The object does not reach as far as the requested range."),
}
# What users upload is shown, never run, although it comes from our own address.
_CONTENT_POLICY = "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'"


async def get_file_storage(storage: StorageDep) -> FileStorage:
    """The file storage; these addresses do not exist where there is another."""
    if not isinstance(storage, FileStorage):
        raise NotFound("There is no such address.", reason="route_not_found")
    return storage


FileStorageDep = Annotated[FileStorage, Depends(get_file_storage)]


class RangedFile(FileResponse):
    """A file whose range errors are problems, as all errors are."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the file, its ranges, or a problem."""
        problem: JSONResponse | None = None

        async def sending(message: Message) -> None:
            nonlocal problem
            if message["type"] == "http.response.start" and message["status"] in _RANGE_ERRORS:
                reason, text = _RANGE_ERRORS[message["status"]]
                problem = problem_response(InvalidInput(text, reason=reason))
                if size := Headers(raw=message["headers"]).get("content-range"):
                    problem.headers["Content-Range"] = size
            elif problem is None:
                await send(message)

        await super().__call__(scope, receive, sending)
        if problem is not None:
            await problem(scope, receive, send)


@router.put("/{key:path}")
async def put_object(key: str, request: Request, engine: EngineDep, storage: FileStorageDep) -> Response:
    """
    Stores the body of a signed upload, or of one part of it. Raises `Conflict` (`upload_closed`) where the upload or
    its video has been deleted, refused or completed; nothing is kept then.
    """
    grant = storage.verify_signature("PUT", key, request.query_params)
    if await _status(engine, key) is not UploadStatus.PENDING:
        raise _closed()
    etag = await storage.receive(grant, request.stream())
    # Again, now that the object is there: a deletion meanwhile has deleted the row first, then what was stored.
    if await _status(engine, key) in (None, UploadStatus.FAILED):
        await storage.delete(key)
        raise _closed()
    return Response(status_code=200, headers={"ETag": etag})


@router.api_route("/{key:path}", methods=["GET", "HEAD"])
async def get_object(key: str, request: Request, storage: FileStorageDep) -> FileResponse:
    """An object, or the requested ranges of it."""
    grant = storage.verify_signature(request.method, key, request.query_params)
    path = await storage.local_path(key)
    known = await storage.head(key)
    return RangedFile(
        path,
        media_type=known.content_type if known else "application/octet-stream",
        filename=grant.filename or None,
        headers={"Cache-Control": "private, max-age=3600", "Content-Security-Policy": _CONTENT_POLICY},
    )


async def _status(engine: AsyncEngine, key: str) -> UploadStatus | None:
    async with transaction(engine) as connection:
        return await status_of_key(connection, key)


def _closed() -> Conflict:
    return Conflict("The upload is no longer open.", reason="upload_closed")
