"""The REST API as coroutines: JSON in, JSON out, errors of the kit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any
from uuid import uuid4

import httpx

from onevoice_cli.client.problems import from_response, from_transport
from onevoice_cli.client.settings import ClientSettings
from onevoice_kit.errors import Internal
from onevoice_kit.retry import Backoff, Retry

Json = dict[str, Any]

# `Retry-After` of the server counts, up to a minute: a person is waiting.
_BACKOFF = Backoff(0.5, 8.0, jitter=0.5, longest_asked_s=60.0)

RETRY = Retry(_BACKOFF, attempts=5)
PATIENT = Retry(_BACKOFF, attempts=8)
NO_RETRY = Retry(attempts=1)

_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_COMPLETE_TIMEOUT = httpx.Timeout(600.0, connect=5.0)
"""Completing an upload reads and probes the whole file on the server."""


class ApiClient:
    """A context manager around two HTTP clients: one that sends the API key, and one for signed URLs that does not."""

    def __init__(self, settings: ClientSettings, retry: Retry | None = None) -> None:
        self._retry = retry or RETRY
        self._http = httpx.AsyncClient(
            base_url=f"{settings.url}/api/",
            headers={"Authorization": f"Bearer {settings.api_key}", "User-Agent": "onevoice-cli"},
            timeout=_TIMEOUT,
        )
        # A signed URL carries its own permission, and its host need not be ours.
        self.signed = httpx.AsyncClient(base_url=settings.url, timeout=httpx.Timeout(120.0, connect=10.0))
        self.url = settings.url

    async def __aenter__(self) -> ApiClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()
        await self.signed.aclose()

    @property
    def retry(self) -> Retry:
        """The rule for calls, also for those to signed URLs."""
        return self._retry

    async def get(self, path: str, *, retry: Retry | None = None, **params: str | int) -> Json:
        """GET `/api/{path}`."""
        return await self._call("GET", path, retry=retry or self._retry, params=params)

    async def post(
        self, path: str, body: Mapping[str, Any] | None = None, *, timeout: httpx.Timeout = _TIMEOUT
    ) -> Json:
        """POST `/api/{path}`, every attempt with the same `Idempotency-Key`, so that a repeat does nothing twice."""
        headers = {"Idempotency-Key": str(uuid4())}
        return await self._call(
            "POST", path, retry=self._retry, json=dict(body or {}), headers=headers, timeout=timeout
        )

    async def check(self) -> None:
        """Raises at once when there is no server, or when it does not know the key."""
        await self.get("jobs", retry=NO_RETRY, limit=1)

    async def complete(self, path: str, body: Mapping[str, Any]) -> Json:
        """POST of the end of an upload, which may take minutes."""
        return await self.post(path, body, timeout=_COMPLETE_TIMEOUT)

    async def _call(self, method: str, path: str, *, retry: Retry, **arguments: Any) -> Json:
        async def once() -> Json:
            try:
                response = await self._http.request(method, path, **arguments)
            except httpx.TransportError as error:
                raise from_transport(error, self.url) from error
            if response.is_error:
                raise from_response(response)
            return _json(response)

        return await retry.call(once)

    @asynccontextmanager
    async def stream(
        self, path: str, headers: Mapping[str, str], read_timeout_s: float
    ) -> AsyncIterator[httpx.Response]:
        """GET whose body is read piece by piece; not retried here."""
        timeout = httpx.Timeout(read_timeout_s, connect=5.0)
        try:
            async with self._http.stream("GET", path, headers=dict(headers), timeout=timeout) as response:
                if response.is_error:
                    await response.aread()
                    raise from_response(response)
                yield response
        except httpx.TransportError as error:
            raise from_transport(error, self.url) from error


def _json(response: httpx.Response) -> Json:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        where = response.url.copy_with(query=None)
        raise Internal(f"{where} did not answer with JSON; is it a OneVoice server?", reason="not_onevoice")
    return body
