"""Serves the signed URLs of the file storage; where objects are in S3, S3 does it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse

from onevoice_kit.errors import NotFound
from onevoice_kit.storage.file import FileStorage
from services.gateway.dependencies import ServicesDep

router = APIRouter(prefix="/storage", include_in_schema=False)

# What users upload is shown, never run, although it comes from our own address.
_CONTENT_POLICY = "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'"


def get_file_storage(services: ServicesDep) -> FileStorage:
    """The file storage; these addresses do not exist where there is another."""
    if not isinstance(services.storage, FileStorage):
        raise NotFound("There is no such address.", reason="route_not_found")
    return services.storage


FileStorageDep = Annotated[FileStorage, Depends(get_file_storage)]


@router.put("/{key:path}")
async def put_object(key: str, request: Request, storage: FileStorageDep) -> Response:
    """Takes the body of a signed upload, or of one part of it."""
    grant = storage.verify_signature("PUT", key, request.query_params)
    etag = await storage.receive(grant, request.stream())
    return Response(status_code=200, headers={"ETag": etag})


@router.api_route("/{key:path}", methods=["GET", "HEAD"])
async def get_object(key: str, request: Request, storage: FileStorageDep) -> FileResponse:
    """Gives an object, or the ranges of it that are asked for."""
    grant = storage.verify_signature(request.method, key, request.query_params)
    path = await storage.local_path(key)
    known = await storage.head(key)
    return FileResponse(
        path,
        media_type=known.content_type if known else "application/octet-stream",
        filename=grant.filename or None,
        headers={"Cache-Control": "private, max-age=3600", "Content-Security-Policy": _CONTENT_POLICY},
    )
