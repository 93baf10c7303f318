"""Who is calling, by the key that came with the request."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_kit.db import transaction
from onevoice_kit.errors import Unauthenticated
from services.gateway.auth.keys import looks_like_key
from services.gateway.auth.models import Caller
from services.gateway.auth.repository import find_caller


class Authenticator:
    """Recognises API keys."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def caller(self, key: str | None) -> Caller:
        """Whose key this is; `Unauthenticated` (reasons `missing_credentials`, `invalid_api_key`)."""
        if not key:
            raise Unauthenticated("Send an API key as bearer token.", reason="missing_credentials")
        if not looks_like_key(key):
            raise _invalid()
        async with transaction(self._engine) as connection:
            found = await find_caller(connection, key)
        if found is None:
            raise _invalid()
        return found


def _invalid() -> Unauthenticated:
    return Unauthenticated("The API key is not valid.", reason="invalid_api_key")
