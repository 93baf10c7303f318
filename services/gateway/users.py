"""Routes of the user who is calling."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import Field

from onevoice_kit.errors import NotFound
from services.gateway.accounts import get_user
from services.gateway.clients.billing import BillingClient
from services.gateway.dependencies import CallerDep, ConnectionDep, part
from services.gateway.errors import problems
from services.gateway.schemas import Output

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
async def get_me(caller: CallerDep, connection: ConnectionDep) -> UserOut:
    """The user whose key this is."""
    user = await get_user(connection, caller.user_id)
    if user is None:
        raise NotFound("There is no such user.", reason="user_not_found")
    return UserOut(id=user.id, email=user.email, name=user.name, created_at=user.created_at)


@router.get("/credits", summary="Get your credits", responses=problems())
async def get_my_credits(
    caller: CallerDep, billing: Annotated[BillingClient, Depends(part(BillingClient))]
) -> CreditsOut:
    """Credits that can be spent now, and those reserved."""
    account = await billing.account(caller.user_id)
    return CreditsOut(available_credits=account.available_credits, reserved_credits=account.reserved_credits)
