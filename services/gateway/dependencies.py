"""The dependencies of routes: parts of the gateway, the caller, and the one transaction of a request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Query, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from onevoice_kit.db import transaction
from onevoice_kit.errors import OneVoiceError, Unauthenticated
from onevoice_kit.storage.base import Storage
from services.gateway.accounts import Authenticator, Caller, Right
from services.gateway.idempotency.service import Answer, parse_key
from services.gateway.middleware import bearer
from services.gateway.settings import GatewaySettings

T = TypeVar("T")

_bearer = HTTPBearer(
    auto_error=False, scheme_name="apiKey", bearerFormat="ov_…", description="An API key, as bearer token."
)


def part(kind: type[T]) -> Callable[[Request], Awaitable[T]]:
    """A dependency on the one part of the gateway that has this type; `wiring` makes the parts."""

    async def get(request: Request) -> T:
        found: T = request.app.state.parts[kind]
        return found

    return get


async def get_storage(request: Request) -> Storage:
    """The storage, whose type is a protocol."""
    storage: Storage = request.app.state.parts[Storage]
    return storage


SettingsDep = Annotated[GatewaySettings, Depends(part(GatewaySettings))]
EngineDep = Annotated[AsyncEngine, Depends(part(AsyncEngine))]
StorageDep = Annotated[Storage, Depends(get_storage)]


class AfterCommit:
    """Collects calls of other services that follow the commit of a request; they end before its response is sent."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], Awaitable[object]]] = []

    def add(self, call: Callable[[], Awaitable[object]]) -> None:
        """Adds a call. It handles its own errors: the request has succeeded."""
        self._calls.append(call)

    async def run(self) -> None:
        """Makes the calls in their order."""
        for call in self._calls:
            await call()


async def get_after_commit() -> AfterCommit:
    """The calls of one request."""
    return AfterCommit()


AfterCommitDep = Annotated[AfterCommit, Depends(get_after_commit)]


async def get_connection(engine: EngineDep, after: AfterCommitDep) -> AsyncIterator[AsyncConnection]:
    """The transaction of a request: committed when its route returns, before the response, rolled back on an error."""
    async with transaction(engine) as connection:
        yield connection
    await after.run()


ConnectionDep = Annotated[AsyncConnection, Depends(get_connection, scope="function")]
"""For routes that call no other service: while they run, a connection and perhaps locks are held."""


async def get_caller(
    request: Request, _documented: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    """The caller, whom `middleware.Authentication` has recognised before the body was read."""
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:
        raise Unauthenticated("Send an API key as bearer token.", reason="missing_credentials")
    return caller


async def get_operator(
    request: Request, authenticator: Annotated[Authenticator, Depends(part(Authenticator))]
) -> Caller | None:
    """The caller of an open route, where the request has the key of an operator; None for everyone else."""
    token = bearer(request.headers)
    if token is None:
        return None
    try:
        caller = await authenticator.caller(token)
    except OneVoiceError:  # the route is open: it answers also where keys cannot be checked
        return None
    return caller if caller.may(Right.OPERATOR) else None


OperatorDep = Annotated[Caller | None, Depends(get_operator)]
CallerDep = Annotated[Caller, Depends(get_caller)]


async def get_idempotency_key(
    request: Request,
    _documented: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="Makes it safe to repeat the call: the same key and body get the same answer for 24 hours.",
            examples=['"8e03978e-40d5-43e8-bc93-6894a57f9324"'],
        ),
    ] = None,
) -> str | None:
    """The key of a creating call, if it has one; `InvalidInput` (`idempotency_key_malformed`)."""
    return parse_key(request.headers.getlist("Idempotency-Key"))


IdempotencyKey = Annotated[str | None, Depends(get_idempotency_key)]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Most items to return.")]


def respond(answer: Answer) -> JSONResponse:
    """The response of a creating call, with a header that marks an answer to a repeated call."""
    headers = {"Idempotency-Replayed": "true"} if answer.replayed else {}
    return JSONResponse(dict(answer.body), answer.status, headers=headers)
