"""HTTP failures as errors of the kit, one sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from onevoice_kit.errors import (
    Busy,
    Conflict,
    Forbidden,
    Internal,
    InvalidInput,
    NotFound,
    OneVoiceError,
    PreconditionFailed,
    QuotaExceeded,
    Unauthenticated,
    Unavailable,
)

_BY_STATUS: Mapping[int, type[OneVoiceError]] = {
    401: Unauthenticated,
    402: QuotaExceeded,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    429: Busy,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def from_response(response: httpx.Response) -> OneVoiceError:
    """The error that an answer of 400 or more stands for; the body must have been read."""
    problem = _problem(response)
    default = InvalidInput if response.status_code < 500 else Internal
    cls = _BY_STATUS.get(response.status_code, default)
    if not problem:
        where = response.url.copy_with(query=None)
        return cls(f"{where} answered {response.status_code} {response.reason_phrase}.", retry_after=_wait(response))
    message = str(problem.get("detail") or problem.get("title") or "The server refused the request.")
    if fields := _fields(problem):
        message = f"{message.rstrip('.')} ({fields})."
    if problem.get("error_id"):
        message = f"{message.rstrip('.')} (error id {problem['error_id']})."
    reason = str(problem.get("reason") or "") or None
    # The same call is still being worked on, perhaps our own before its connection broke: its answer will come.
    retryable = True if reason == "request_in_progress" else None
    return cls(message, reason=reason, retry_after=_wait(response), retryable=retryable)


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _fields(problem: Mapping[str, Any]) -> str:
    """`loudness: Input should be …` for each field that the server refused, at most three."""
    errors = problem.get("errors")
    if not isinstance(errors, list):
        return ""
    refused = [error for error in errors if isinstance(error, dict)][:3]
    return "; ".join(f"{str(error.get('field')).removeprefix('body.')}: {error.get('message')}" for error in refused)


def _wait(response: httpx.Response) -> float | None:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdigit() else None


def from_transport(error: httpx.TransportError, url: httpx.URL | str) -> OneVoiceError:
    """The error that a failing connection stands for."""
    origin = _origin(url)
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return Unavailable(
            f"No server answers at {origin}; `onevoice up` starts one on this machine.", reason="no_server"
        )
    if isinstance(error, httpx.TimeoutException):
        return Unavailable(f"{origin} did not answer in time.", reason="network_timeout")
    return Unavailable(f"The connection to {origin} was lost.", reason="network_lost")


def _origin(url: httpx.URL | str) -> str:
    parsed = httpx.URL(url)
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii', 'replace')}"
