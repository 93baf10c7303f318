"""The caller of a request, by its API key."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_kit.db import transaction
from onevoice_kit.errors import Unauthenticated, Unavailable
from onevoice_kit.retry import Backoff, Retry
from services.gateway.auth.keys import looks_like_key
from services.gateway.auth.models import Caller
from services.gateway.auth.repository import find_caller

_ONCE_MORE = Retry(
    Backoff(first_s=0.0), attempts=2, budget_s=1.0, transient=lambda error: isinstance(error, Unavailable)
)
"""
This is the first statement of a request, so it is the one that meets a connection that broke since its last use; the
next one is new. A database that is away costs no second timeout: the budget is shorter.
"""


class Authenticator:
    """Recognises API keys."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def caller(self, key: str | None) -> Caller:
        """The owner of the key; `Unauthenticated` (reasons `missing_credentials`, `invalid_api_key`)."""
        if not key:
            raise Unauthenticated("Send an API key as bearer token.", reason="missing_credentials")
        if not looks_like_key(key):
            raise _invalid()
        found = await _ONCE_MORE.call(lambda: self._find(key))
        if found is None:
            raise _invalid()
        return found

    async def _find(self, key: str) -> Caller | None:
        async with transaction(self._engine) as connection:
            return await find_caller(connection, key)


def _invalid() -> Unauthenticated:
    return Unauthenticated("The API key is not valid.", reason="invalid_api_key")
