"""Errors to HTTP: the one table from kinds to status codes, as RFC 9457 problems."""

from __future__ import annotations

import http
import logging
import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from onevoice_kit.errors import InvalidInput, Kind, NotFound, OneVoiceError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

STATUS_BY_KIND: Mapping[Kind, int] = {
    Kind.INVALID_INPUT: 422,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.PRECONDITION: 422,
    Kind.QUOTA_EXCEEDED: 429,
    Kind.BUSY: 429,
    Kind.UNAVAILABLE: 503,
    Kind.DEADLINE: 504,
    Kind.CANCELLED: 503,
    Kind.INTERNAL: 500,
}

STATUS_BY_REASON: Mapping[str, int] = {
    "malformed_json": 400,
    "malformed_body": 400,
    "idempotency_key_malformed": 400,
    "insufficient_credits": 402,
    "method_not_allowed": 405,
    "file_too_large": 413,
    "body_too_large": 413,
    "unsupported_media_type": 415,
    "malformed_range": 400,
    "range_not_satisfiable": 416,
    "storage_quota_exceeded": 403,
}
"""Reasons that HTTP has a more exact status for than their kind's."""


class FieldError(BaseModel):
    """The fault of one field."""

    field: str = Field(examples=["body.target_languages"])
    message: str = Field(examples=["List should have at least 1 item after validation, not 0"])


class Problem(BaseModel):
    """An error, as RFC 9457 has it. `reason` is stable; `detail` is for people and may change."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:onevoice:problem:video_not_found"])
    title: str = Field(examples=["Video not found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no such video."])
    reason: str = Field(examples=["video_not_found"])
    error_id: str | None = Field(default=None, description="Names the entry in the service's log.")
    errors: list[FieldError] | None = Field(default=None, description="Fields that are not valid.")


class InvalidFields(InvalidInput):
    """The request has fields that are not valid."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__(reason="invalid_request")
        self.errors = tuple(errors)


class BodyRefused(HTTPException):
    """An error while a body is read, of the one kind of exception that FastAPI lets through then."""

    def __init__(self, problem: OneVoiceError) -> None:
        self.problem = problem
        super().__init__(status_of(self.problem), self.problem.message)


def too_large(limit: int, reason: str) -> InvalidInput:
    """The answer to a body of more than `limit` bytes."""
    return InvalidInput(f"At most {limit} bytes are taken here.", reason=reason, details={"max_bytes": str(limit)})


def status_of(error: OneVoiceError) -> int:
    """The HTTP status of an error."""
    return STATUS_BY_REASON.get(error.reason, STATUS_BY_KIND[error.kind])


def problem_response(error: OneVoiceError) -> JSONResponse:
    """The response for an error; internal details stay in the log under an id."""
    status = status_of(error)
    detail, reason, extra = error.message, error.reason, dict(error.details)
    if status == http.HTTPStatus.INTERNAL_SERVER_ERROR:
        extra = {"error_id": extra.get("error_id") or uuid.uuid4().hex}
        logger.error("internal error", exc_info=error, extra={**extra, "reason": reason})
        detail, reason = "Something went wrong inside.", "internal"
    body: dict[str, Any] = {
        **extra,
        "type": f"urn:onevoice:problem:{reason}",
        "title": reason.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "reason": reason,
    }
    if isinstance(error, InvalidFields):
        body["errors"] = [field.model_dump() for field in error.errors]
    return JSONResponse(body, status, headers=_headers(error, status), media_type=MEDIA_TYPE)


def _headers(error: OneVoiceError, status: int) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    if status == http.HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="onevoice"'
    retry_after = error.retry_after
    if retry_after is None and error.kind in (Kind.BUSY, Kind.UNAVAILABLE):
        retry_after = 5.0
    if retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(retry_after)))
    return headers


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """
    Makes every error of an application with these routes a problem. Unknown exceptions are left to the outermost
    middleware.
    """

    async def known(_request: Request, error: Exception) -> JSONResponse:
        return problem_response(error if isinstance(error, OneVoiceError) else unexpected(error))

    async def invalid(_request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, RequestValidationError):
            return problem_response(unexpected(error))
        return problem_response(_from_validation(error))

    async def http_error(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, HTTPException):
            return problem_response(unexpected(error))
        if isinstance(error, BodyRefused):
            return problem_response(error.problem)
        response = problem_response(_from_http(error))
        response.status_code = error.status_code
        response.headers.update(error.headers or {})
        if error.status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
            response.headers["Allow"] = ", ".join(sorted(_methods(routes, request.scope)))
        return response

    app.add_exception_handler(OneVoiceError, known)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http_error)


def _methods(routes: Sequence[BaseRoute], scope: Scope) -> set[str]:
    """The methods of every route with the path of a request: a router names only those of the first one."""
    found: set[str] = set()
    for route in routes:
        match, _ = route.matches(scope)
        if match is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return found


def unexpected(error: BaseException) -> OneVoiceError:
    """Wraps an unforeseen exception as an internal error that keeps it as its cause."""
    wrapped = OneVoiceError(f"{type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped


def _from_validation(error: RequestValidationError) -> OneVoiceError:
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return InvalidInput("The body is not valid JSON.", reason="malformed_json")
    return InvalidFields([field_error(item["loc"], item["msg"]) for item in found])


def field_error(location: Iterable[str | int], message: str) -> FieldError:
    """A field by its path. The path holds names the client chose, lone surrogates among them, which JSON cannot."""
    path = ".".join(map(str, location))
    return FieldError(field=path.encode("utf-8", "replace").decode(), message=message)


def _from_http(error: HTTPException) -> OneVoiceError:
    if error.status_code == http.HTTPStatus.NOT_FOUND:
        return NotFound("There is no such address.", reason="route_not_found")
    if error.status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
        return InvalidInput("This address does not take this method.", reason="method_not_allowed")
    if error.status_code == http.HTTPStatus.BAD_REQUEST:
        return InvalidInput("The body cannot be read.", reason="malformed_body")
    return InvalidInput(str(error.detail), reason="invalid_request")


def problems(*reasons_by_status: tuple[int, str]) -> dict[int | str, dict[str, Any]]:
    """
    The `responses` of an operation: pairs of status and reason, in addition to those every operation may answer
    (401 where it needs a caller, 422, 503). Several reasons of one status become several examples.
    """
    common = [(401, "missing_credentials"), (401, "invalid_api_key"), (422, "invalid_request"), (503, "unavailable")]
    return open_problems(*common, *reasons_by_status)


def open_problems(*reasons_by_status: tuple[int, str]) -> dict[int | str, dict[str, Any]]:
    """`problems` for operations that anyone may call."""
    grouped: dict[int, list[str]] = {}
    for status, reason in reasons_by_status:
        grouped.setdefault(status, []).append(reason)
    return {status: _documented(status, reasons) for status, reasons in sorted(grouped.items())}


def _documented(status: int, reasons: Sequence[str]) -> dict[str, Any]:
    examples = {
        reason: {
            "value": {
                "type": f"urn:onevoice:problem:{reason}",
                "title": reason.replace("_", " ").capitalize(),
                "status": status,
                "detail": "One sentence that names the cause.",
                "reason": reason,
            }
        }
        for reason in reasons
    }
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}}
    return {
        "description": f"{http.HTTPStatus(status).phrase}: {', '.join(f'`{r}`' for r in reasons)}",
        "content": content,
    }
