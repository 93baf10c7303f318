"""The one error tree; transports translate it by their own table (`grpc/errors.py`, the gateway's `errors.py`)."""

from __future__ import annotations

import enum
from collections.abc import Mapping


class Kind(enum.StrEnum):
    """The kind of an error: all that a transport needs of it."""

    INVALID_INPUT = "invalid_input"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    PRECONDITION = "precondition"
    QUOTA_EXCEEDED = "quota_exceeded"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"
    DEADLINE = "deadline"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


class OneVoiceError(Exception):
    """Something went wrong."""

    kind: Kind = Kind.INTERNAL
    retryable: bool = False

    def __init__(
        self,
        message: str | None = None,
        *,
        reason: str | None = None,
        retry_after: float | None = None,
        retryable: bool | None = None,
        details: Mapping[str, str] | None = None,
    ) -> None:
        """
        `message` is for people and safe to show outside; the class docstring is its default.
        `reason` is a stable snake_case word for programs; the kind's value is its default.
        `retry_after` is in seconds. `details` are small string facts, safe to show outside.
        """
        self.message = message or (type(self).__doc__ or "").strip()
        self.reason = reason or self.kind.value
        self.retry_after = retry_after
        self.details = dict(details or {})
        if retryable is not None:
            self.retryable = retryable
        super().__init__(self.message)

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process pools; BaseException would rebuild them from the message alone.
        state = {"reason": self.reason, "retry_after": self.retry_after, "retryable": self.retryable}
        return (_rebuild, (type(self), self.message, state, self.details))


def _rebuild(
    cls: type[OneVoiceError], message: str, state: dict[str, object], details: dict[str, str]
) -> OneVoiceError:
    return cls(message, details=details, **state)  # type: ignore[arg-type]


class InvalidInput(OneVoiceError):
    """The request is not valid."""

    kind = Kind.INVALID_INPUT


class Unauthenticated(OneVoiceError):
    """Credentials are missing or not valid."""

    kind = Kind.UNAUTHENTICATED


class Forbidden(OneVoiceError):
    """This is not allowed."""

    kind = Kind.FORBIDDEN


class NotFound(OneVoiceError):
    """There is no such thing."""

    kind = Kind.NOT_FOUND


class Conflict(OneVoiceError):
    """The request does not fit the present state."""

    kind = Kind.CONFLICT


class PreconditionFailed(OneVoiceError):
    """The input is well formed but cannot be worked on."""

    kind = Kind.PRECONDITION


class QuotaExceeded(OneVoiceError):
    """There is not enough credit or quota left."""

    kind = Kind.QUOTA_EXCEEDED


class Busy(OneVoiceError):
    """The service is full; try again later."""

    kind = Kind.BUSY
    retryable = True


class Unavailable(OneVoiceError):
    """A service that is needed does not answer."""

    kind = Kind.UNAVAILABLE
    retryable = True


class DeadlineExceeded(OneVoiceError):
    """It took too long."""

    kind = Kind.DEADLINE
    retryable = True


class Cancelled(OneVoiceError):
    """The work was cancelled."""

    kind = Kind.CANCELLED


class Internal(OneVoiceError):
    """Something went wrong inside."""

    kind = Kind.INTERNAL


BY_KIND: Mapping[Kind, type[OneVoiceError]] = {
    cls.kind: cls
    for cls in (
        InvalidInput,
        Unauthenticated,
        Forbidden,
        NotFound,
        Conflict,
        PreconditionFailed,
        QuotaExceeded,
        Busy,
        Unavailable,
        DeadlineExceeded,
        Cancelled,
        Internal,
    )
}
"""The class for each kind, to rebuild an error on the other side of a wire."""
