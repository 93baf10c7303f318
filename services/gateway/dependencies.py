"""The dependencies of routes."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Query, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from onevoice_kit.errors import OneVoiceError, Unauthenticated
from services.gateway.auth.models import Caller
from services.gateway.idempotency.key import parse_key
from services.gateway.idempotency.service import Answer
from services.gateway.middleware import bearer
from services.gateway.services import Services
from services.gateway.users.models import Right

_bearer = HTTPBearer(
    auto_error=False, scheme_name="apiKey", bearerFormat="ov_…", description="An API key, as bearer token."
)


def get_services(request: Request) -> Services:
    """The parts of the gateway."""
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(get_services)]


async def get_caller(
    request: Request, _documented: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    """The caller, whom `middleware.Authentication` has recognised before the body was read."""
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:
        raise Unauthenticated("Send an API key as bearer token.", reason="missing_credentials")
    return caller


async def get_operator(request: Request, services: ServicesDep) -> Caller | None:
    """The caller of an open route, where the request has the key of an operator; None for everyone else."""
    token = bearer(request.headers)
    if token is None:
        return None
    try:
        caller = await services.authenticator.caller(token)
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
