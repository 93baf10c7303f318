"""Routes of the user who is calling."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from onevoice_kit.db import transaction
from onevoice_kit.errors import NotFound
from services.gateway.dependencies import CallerDep, ServicesDep
from services.gateway.errors import problems
from services.gateway.schemas import Output
from services.gateway.users.repository import get_user

router = APIRouter(prefix="/api/users/me", tags=["users"])


class UserOut(Output):
    """You."""

    id: UUID
    email: str = Field(examples=["ada@example.com"])
    name: str = Field(examples=["Ada"])
    created_at: datetime


class CreditsOut(Output):
    """Your credits. One credit is one second of dubbed output in one language."""

    available_credits: int = Field(examples=[3600])
    reserved_credits: int = Field(description="Set aside for running jobs.", examples=[120])


@router.get("", summary="Get yourself", responses=problems((404, "user_not_found")))
async def get_me(caller: CallerDep, services: ServicesDep) -> UserOut:
    """The user whose key this is."""
    async with transaction(services.engine) as connection:
        user = await get_user(connection, caller.user_id)
    if user is None:
        raise NotFound("There is no such user.", reason="user_not_found")
    return UserOut(id=user.id, email=user.email, name=user.name, created_at=user.created_at)


@router.get("/credits", summary="Get your credits", responses=problems())
async def get_my_credits(caller: CallerDep, services: ServicesDep) -> CreditsOut:
    """Credits that can be spent now, and those reserved."""
    account = await services.billing.account(caller.user_id)
    return CreditsOut(available_credits=account.available_credits, reserved_credits=account.reserved_credits)
