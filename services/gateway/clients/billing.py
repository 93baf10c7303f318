"""Client of the billing service."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import grpc

from onevoice.billing.v1 import billing_service_pb2 as pb
from onevoice.billing.v1.billing_service_pb2_grpc import BillingServiceStub
from onevoice_kit.errors import Conflict, NotFound

from . import with_retries

_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class CreditQuote:
    """The price of a job."""

    credits: int
    credits_per_language: int


@dataclass(frozen=True, slots=True)
class Account:
    """A user's credits."""

    available_credits: int
    reserved_credits: int


class BillingClient:
    """Quotes and reservations. Raises the kit's errors, `QuotaExceeded` (`insufficient_credits`) among them."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = BillingServiceStub(channel)

    async def quote(self, duration_ms: int, languages: int) -> CreditQuote:
        """Credits for a source of this length in this many languages."""
        request = pb.QuoteRequest(duration_ms=duration_ms, languages=languages)
        answer = await with_retries(lambda: self._stub.Quote(request, timeout=_TIMEOUT_S))
        return CreditQuote(answer.credits, answer.credits_per_language)

    async def reserve(self, user_id: UUID, reservation_id: UUID, credits_: int, *, job_id: UUID) -> None:
        """Sets credits aside for a run of a job; repeating it for the same reservation changes nothing."""
        request = pb.ReserveRequest(
            user_id=str(user_id), reservation_id=str(reservation_id), credits=credits_, job_id=str(job_id)
        )
        await with_retries(lambda: self._stub.Reserve(request, timeout=_TIMEOUT_S))

    async def release(self, reservation_id: UUID | str) -> int:
        """Gives a reservation back, where one is open; returns how much it was."""
        request = pb.ReleaseRequest(reservation_id=str(reservation_id))
        answer = await with_retries(lambda: self._stub.Release(request, timeout=_TIMEOUT_S))
        return answer.released_credits

    async def close(self, reservation_id: str) -> int:
        """Gives back what is still reserved; returns what had been spent before, 0 where nothing had."""
        if await self.release(reservation_id):
            return 0
        request = pb.SettleRequest(reservation_id=reservation_id, credits=0)
        try:
            # Of a reservation that is closed this changes nothing, and gives the answer that was given first.
            answer = await with_retries(lambda: self._stub.Settle(request, timeout=_TIMEOUT_S))
        except (Conflict, NotFound):  # released before
            return 0
        return answer.spent_credits

    async def account(self, user_id: UUID) -> Account:
        """A user's credits."""
        request = pb.GetAccountRequest(user_id=str(user_id))
        answer = await with_retries(lambda: self._stub.GetAccount(request, timeout=_TIMEOUT_S))
        return Account(answer.account.available_credits, answer.account.reserved_credits)
