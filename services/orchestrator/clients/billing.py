"""Calls to billing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import grpc

from onevoice.billing.v1 import billing_service_pb2 as pb
from onevoice.billing.v1.billing_service_pb2_grpc import BillingServiceStub

from .base import SHORT_S


class BillingClient:
    """Billing, as far as a job's end needs it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = BillingServiceStub(channel)

    async def price(self, duration_ms: int, languages: int) -> int:
        """Credits for so much output."""
        request = pb.QuoteRequest(duration_ms=duration_ms, languages=languages)
        response = await self._stub.Quote(request, timeout=SHORT_S)
        return response.credits

    async def settle(self, reservation_id: str, amount: int) -> int:
        """Spends credits that are reserved, at most those; returns what was spent. Again: the first answer."""
        request = pb.SettleRequest(reservation_id=reservation_id, credits=amount)
        response = await self._stub.Settle(request, timeout=SHORT_S)
        return response.spent_credits

    async def open_reservations(self, min_age_s: float) -> AsyncIterator[Sequence[str]]:
        """Reservations that have been open for at least `min_age_s`, page by page."""
        request = pb.ListOpenReservationsRequest(min_age_s=int(min_age_s))
        while True:
            page = await self._stub.ListOpenReservations(request, timeout=SHORT_S)
            yield list(page.reservation_ids)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def release(self, reservation_id: str) -> int:
        """Gives a reservation back; returns how much it was, 0 where it was not open any more."""
        response = await self._stub.Release(pb.ReleaseRequest(reservation_id=reservation_id), timeout=SHORT_S)
        return response.released_credits
