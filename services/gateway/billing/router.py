"""Routes of billing."""

from __future__ import annotations

from fastapi import APIRouter

from services.gateway.billing.schemas import QuoteIn, QuoteOut
from services.gateway.dependencies import CallerDep, ServicesDep
from services.gateway.errors import problems

router = APIRouter(prefix="/api/billing", tags=["billing"])


@router.post(
    "/quote", summary="Ask what a job costs", responses=problems((404, "video_not_found"), (409, "video_not_ready"))
)
async def quote(asked: QuoteIn, caller: CallerDep, services: ServicesDep) -> QuoteOut:
    """The price of dubbing a video, or a video of this length. Nothing is reserved."""
    duration_ms = asked.duration_ms or 0
    if asked.video_id is not None:
        duration_ms = await services.videos.duration_ms(caller.user_id, asked.video_id)
    offer = await services.billing.quote(duration_ms, len(set(asked.target_languages)))
    account = await services.billing.account(caller.user_id)
    return QuoteOut(
        credits=offer.credits,
        credits_per_language=offer.credits_per_language,
        available_credits=account.available_credits,
    )
