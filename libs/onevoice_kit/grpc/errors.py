"""The one table between kit errors and gRPC statuses (google.rpc.Status with ErrorInfo and RetryInfo), both ways."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from onevoice.common.v1 import error_pb2
from onevoice_kit.errors import (
    BY_KIND,
    Busy,
    Cancelled,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    Internal,
    InvalidInput,
    Kind,
    NotFound,
    OneVoiceError,
    PreconditionFailed,
    Unauthenticated,
    Unavailable,
)
from onevoice_kit.grpc.identity import CALLER_REASONS
from onevoice_kit.telemetry.metrics import ERROR_ID

_log = logging.getLogger(__name__)

DOMAIN = "onevoice"
STATUS_KEY = "grpc-status-details-bin"
"""Trailer that carries the google.rpc.Status."""

_KIND = "onevoice-kind"
_RETRYABLE = "onevoice-retryable"
_MAX_MESSAGE = 1000
_MAX_DETAIL = 500
_MAX_DETAILS = 16

CODES: Mapping[Kind, grpc.StatusCode] = {
    Kind.INVALID_INPUT: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Kind.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Kind.CONFLICT: grpc.StatusCode.ABORTED,
    Kind.PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
    Kind.QUOTA_EXCEEDED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.BUSY: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Kind.DEADLINE: grpc.StatusCode.DEADLINE_EXCEEDED,
    Kind.CANCELLED: grpc.StatusCode.CANCELLED,
    Kind.INTERNAL: grpc.StatusCode.INTERNAL,
}
"""Status code of each kind."""

_FOREIGN: Mapping[grpc.StatusCode, tuple[type[OneVoiceError], str, str]] = {
    grpc.StatusCode.INVALID_ARGUMENT: (InvalidInput, "invalid_input", "{} refused the request as not valid."),
    grpc.StatusCode.OUT_OF_RANGE: (InvalidInput, "invalid_input", "{} refused the request as out of range."),
    grpc.StatusCode.UNAUTHENTICATED: (Unauthenticated, "unauthenticated", "{} does not accept these credentials."),
    grpc.StatusCode.PERMISSION_DENIED: (Forbidden, "forbidden", "{} does not allow this."),
    grpc.StatusCode.NOT_FOUND: (NotFound, "not_found", "{} has no such thing."),
    grpc.StatusCode.ALREADY_EXISTS: (Conflict, "conflict", "{} has this already."),
    grpc.StatusCode.ABORTED: (Conflict, "conflict", "{} broke the call off because of a conflict."),
    grpc.StatusCode.FAILED_PRECONDITION: (PreconditionFailed, "precondition", "{} is not in a state to do this."),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (Busy, "busy", "{} is full; try again later."),
    grpc.StatusCode.UNAVAILABLE: (Unavailable, "service_unreachable", "{} does not answer."),
    grpc.StatusCode.DEADLINE_EXCEEDED: (DeadlineExceeded, "deadline_exceeded", "{} took too long to answer."),
    grpc.StatusCode.CANCELLED: (Cancelled, "cancelled", "The call to {} was cancelled."),
    grpc.StatusCode.UNIMPLEMENTED: (Internal, "unimplemented", "{} does not have this method."),
}
"""The meaning of a status that no kit error caused: class, reason, message with a place for the service's name."""


def code_of(number: int) -> grpc.StatusCode:
    """The status code with this number; UNKNOWN for one that does not exist."""
    return next((code for code in grpc.StatusCode if code.value[0] == number), grpc.StatusCode.UNKNOWN)


def to_status(error: OneVoiceError) -> status_pb2.Status:
    """The status that carries all of a kit error; long texts are cut to what fits into trailers."""
    status = status_pb2.Status(code=CODES[error.kind].value[0], message=error.message[:_MAX_MESSAGE])
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    for key, value in list(error.details.items())[:_MAX_DETAILS]:
        info.metadata[key] = str(value)[:_MAX_DETAIL]
    info.metadata[_KIND] = error.kind.value
    info.metadata[_RETRYABLE] = "true" if error.retryable else "false"
    status.details.add().Pack(info)
    if error.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(round(error.retry_after * 1e9))
        status.details.add().Pack(retry)
    return status


def to_trailers(status: status_pb2.Status) -> tuple[tuple[str, str | bytes], ...]:
    """Trailing metadata of a failed call."""
    return ((STATUS_KEY, status.SerializeToString()),)


def hide(error: BaseException, method: str) -> Internal:
    """An error for an exception that is not ours: the log has the truth, the caller an id of it."""
    error_id = uuid.uuid4().hex
    _log.error("%s failed", method, exc_info=error, extra={ERROR_ID: error_id, "rpc_method": method})
    return Internal(details={ERROR_ID: error_id})


def error_to_proto(error: OneVoiceError) -> error_pb2.Error:
    """The message that carries all of a kit error, for one part of a call; texts are cut as in `to_status`."""
    details = {key: str(value)[:_MAX_DETAIL] for key, value in list(error.details.items())[:_MAX_DETAILS]}
    message = error_pb2.Error(
        kind=error.kind.value,
        reason=error.reason,
        message=error.message[:_MAX_MESSAGE],
        details=details,
        retryable=error.retryable,
    )
    if error.retry_after is not None:
        message.retry_after_ms = round(error.retry_after * 1000)
    return message


def error_from_proto(message: error_pb2.Error) -> OneVoiceError:
    """The error that `error_to_proto` wrote; one of a kind that this process lacks is `Internal`."""
    kind = next((kind for kind in Kind if kind == message.kind), Kind.INTERNAL)
    retry_after = message.retry_after_ms / 1000 if message.HasField("retry_after_ms") else None
    return BY_KIND[kind](
        message.message,
        reason=message.reason,
        retry_after=retry_after,
        retryable=message.retryable,
        details=message.details,
    )


def from_rpc_error(error: grpc.aio.AioRpcError, method: str = "") -> OneVoiceError:
    """
    The kit error behind a failed call: the very one the server raised, else by the status code.

    A server that refuses this process as a caller counts as unavailable, with the same reason: what has to change is
    the deployment, not the request, and to the user at the other end it is no error of theirs.
    """
    found = _rebuild(error.trailing_metadata() or ()) or _foreign(error.code(), error.details() or "", method)
    if found.reason in CALLER_REASONS:
        return Unavailable("A service does not accept this process as its caller.", reason=found.reason)
    return found


def _rebuild(trailers: Iterable[Any]) -> OneVoiceError | None:
    for key, value in trailers:
        if key == STATUS_KEY and isinstance(value, bytes):
            try:
                return _from_status(status_pb2.Status.FromString(value))
            except (DecodeError, ValueError):
                return None  # Not written by this kit: the status code decides.
    return None


def _from_status(status: status_pb2.Status) -> OneVoiceError | None:
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    retry_after: float | None = None
    for detail in status.details:
        detail.Unpack(info)
        if detail.Unpack(retry):
            retry_after = retry.retry_delay.ToNanoseconds() / 1e9
    details = dict(info.metadata)
    kind = details.pop(_KIND, "")
    retryable = details.pop(_RETRYABLE, "") == "true"
    if info.domain != DOMAIN or not kind:
        return None
    error = BY_KIND[Kind(kind)]
    return error(status.message, reason=info.reason, retry_after=retry_after, retryable=retryable, details=details)


def _foreign(code: grpc.StatusCode, text: str, method: str) -> OneVoiceError:
    service = method.strip("/").partition("/")[0].rpartition(".")[2] or "A service"
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in text:
        # gRPC's one code for "too busy" and "too big"; only its text distinguishes them. Repeating does not help.
        return Internal(f"A message to or from {service} is too large.", reason="message_too_large")
    cls, reason, message = _FOREIGN.get(code, (Internal, "rpc_failed", "{} failed."))
    return cls(message.format(service), reason=reason)
