"""Quotes: route and bodies."""

from __future__ import annotations

from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field, model_validator

from onevoice_kit.db import transaction
from services.gateway.clients.billing import BillingClient
from services.gateway.dependencies import CallerDep, EngineDep, part
from services.gateway.errors import problems
from services.gateway.schemas import Language, Model, Output
from services.gateway.videos.service import load_ready


class QuoteIn(Model):
    """The subject of a quote: a video, or a length."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"duration_ms": 61500, "target_languages": ["es", "ca"]}]}
    )

    video_id: UUID | None = None
    duration_ms: Annotated[int, Field(gt=0, le=1 << 40)] | None = None
    target_languages: Annotated[list[Language], Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.video_id is None) == (self.duration_ms is None):
            raise ValueError("give either video_id or duration_ms")
        return self


class QuoteOut(Output):
    """The price."""

    credits: int = Field(description="The whole job.", examples=[124])
    credits_per_language: int = Field(examples=[62])
    available_credits: int = Field(description="What you can spend now.", examples=[3600])


router = APIRouter(prefix="/api/billing", tags=["billing"])


@router.post(
    "/quote", summary="Ask what a job costs", responses=problems((404, "video_not_found"), (409, "video_not_ready"))
)
async def quote(
    asked: QuoteIn,
    caller: CallerDep,
    engine: EngineDep,
    billing: Annotated[BillingClient, Depends(part(BillingClient))],
) -> QuoteOut:
    """The price of dubbing a video, or a video of this length. Nothing is reserved."""
    duration_ms = asked.duration_ms or 0
    if asked.video_id is not None:
        async with transaction(engine) as connection:
            duration_ms = (await load_ready(connection, caller.user_id, asked.video_id)).duration_ms or 0
    offer = await billing.quote(duration_ms, len(set(asked.target_languages)))
    account = await billing.account(caller.user_id)
    return QuoteOut(
        credits=offer.credits,
        credits_per_language=offer.credits_per_language,
        available_credits=account.available_credits,
    )
