"""Calls of vendors over HTTP: one deadline for the whole call, a bound on the reply, and errors of ours."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from types import ModuleType
from typing import Any, TypeVar

from pydantic import SecretStr, TypeAdapter, ValidationError

from onevoice_kit.errors import Busy, DeadlineExceeded, InvalidInput, OneVoiceError, PreconditionFailed, Unavailable

T = TypeVar("T")
API_VERSION = "1"
"""Version of an engine whose settings are the vendor's own; see `variant`."""
_DISTRIBUTIONS = {"deepgram": "deepgram-sdk"}
"""Packages whose name for installing is not that of their module."""
_REQUEST_IDS = ("x-request-id", "request-id", "dg-request-id")


@dataclass(frozen=True, slots=True)
class Vendor:
    """
    The calls of one engine to its vendor.

    The body of an error is never read: a vendor may put the key or the customer's text into it. The status and the
    vendor's request id are in the details of our error.
    """

    engine: str
    timeout_s: float
    """For a whole call: a vendor's client bounds only the silence between two reads."""
    max_bytes: int
    """Longest reply."""
    content_types: tuple[str, ...]
    """Beginnings of the types that a good reply has."""

    def missing(self, key: SecretStr, setting: str, package: str) -> str:
        """A sentence about the Python package or the key that is not there; empty where the engine can work."""
        if find_spec(package) is None:
            name = _DISTRIBUTIONS.get(package, package)
            return f"The engine “{self.engine}” needs the Python package “{name}”."
        return "" if key.get_secret_value() else f"The engine “{self.engine}” needs a key; set {setting}."

    def client(self, http: ModuleType) -> Any:
        """
        An `AsyncClient` of `httpx` or `httpx2`, whichever the vendor's package uses. Its replies are checked before
        that package sees them. Redirects are not followed: the key stays with the address that was set.
        """
        return http.AsyncClient(
            timeout=None,
            follow_redirects=False,
            headers={"accept-encoding": "identity"},
            event_hooks={"response": [lambda response: self._check(response, http)]},
        )

    @asynccontextmanager
    async def call(self) -> AsyncGenerator[None]:
        """
        The length of one call, the reading of its reply included; leaving it closes the connection.

        Raises `DeadlineExceeded` (reason `engine_timeout`), `Busy` (`engine_busy`, with the vendor's wait),
        `Unavailable` (`engine_failed`, `engine_answer`), and, where another attempt would not help,
        `PreconditionFailed` (`engine_key_refused`) and `InvalidInput` (`engine_refused`).
        """
        try:
            async with asyncio.timeout(self.timeout_s):
                yield
        except TimeoutError:
            raise DeadlineExceeded(f"The engine “{self.engine}” took too long.", reason="engine_timeout") from None
        except OneVoiceError:
            raise
        except Exception as error:  # noqa: BLE001 - the vendors' packages have no common class of errors
            # A package that cannot read a good reply raises an error with that reply's status.
            unreadable = getattr(error, "status_code", None) == 200
            raise (self.answer("cannot be read") if unreadable else self._failed(error)) from None

    async def collect(self, blocks: AsyncIterable[bytes]) -> bytes:
        """The whole reply. Raises `Unavailable` (reason `engine_answer`) for one without content."""
        found = bytearray()
        async for block in blocks:
            found += block
        if not found:
            raise self.answer("is empty")
        return bytes(found)

    def parse(self, kind: TypeAdapter[T], reply: object) -> T:
        """A reply, JSON or an object of the vendor's package, as ours. Raises `Unavailable` (`engine_answer`)."""
        try:
            if isinstance(reply, bytes):
                return kind.validate_json(reply)
            return kind.validate_python(reply, from_attributes=True)
        except ValidationError:
            raise self.answer("has another form than the vendor documents") from None

    def answer(self, problem: str) -> Unavailable:
        """The error for a reply that cannot be used; `problem` continues “The reply of the engine …”."""
        return Unavailable(f"The reply of the engine “{self.engine}” {problem}.", reason="engine_answer")

    async def _check(self, response: Any, http: ModuleType) -> None:
        if not response.is_success:
            raise self.refused(response.status_code, response.headers)
        kind = response.headers.get("content-type", "")
        if not kind.startswith(self.content_types) or "content-encoding" in response.headers:
            raise self.answer("has another type than the vendor documents")
        response.stream = _bounded(response.stream, http.AsyncByteStream, self)

    def refused(self, status: int, headers: Mapping[str, str]) -> OneVoiceError:
        """The error for a reply of this status, which is no good one."""
        request_id = next((headers[name][:100] for name in _REQUEST_IDS if name in headers), "")
        details = {"engine": self.engine, "status": str(status)} | ({"request_id": request_id} if request_id else {})
        named = f"The engine “{self.engine}”"
        wait_s = retry_after_s(headers)
        if status == 429:
            return Busy(f"{named} is busy.", reason="engine_busy", retry_after=wait_s, details=details)
        if status in (401, 402, 403):
            message = f"{named} refused its key, or the key's account."
            return PreconditionFailed(message, reason="engine_key_refused", details=details)
        if 400 <= status < 500 and status not in (408, 409, 425):
            return InvalidInput(f"{named} refused the request.", reason="engine_refused", details=details)
        return Unavailable(f"{named} failed.", reason="engine_failed", retry_after=wait_s, details=details)

    def _failed(self, error: Exception) -> Unavailable:
        details = {"engine": self.engine, "error": type(error).__name__}
        return Unavailable(f"The engine “{self.engine}” failed.", reason="engine_failed", details=details)


def variant(**settings: object) -> str:
    """The version of an engine, for keys of stored results: another one for each set of settings that count."""
    chosen = {name: value for name, value in settings.items() if value not in (None, "")}
    if not chosen:
        return API_VERSION
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True, default=str).encode()).hexdigest()
    return f"{API_VERSION}-{digest[:8]}"


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that `Retry-After` asks for, a number or a date (RFC 9110, 10.2.3); None where there is none."""
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _bounded(stream: Any, base: type[Any], vendor: Vendor) -> Any:
    """The stream of a reply as one of the client's own kind that ends with an error where it is too long."""

    class Bounded(base):  # type: ignore[misc]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async with aclosing(aiter(stream)) as blocks:
                async for block in blocks:
                    size += len(block)
                    if size > vendor.max_bytes:
                        raise vendor.answer("is too long")
                    yield block

        async def aclose(self) -> None:
            await stream.aclose()

    return Bounded()
