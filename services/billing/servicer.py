"""Billing by gRPC: converts and delegates."""

from __future__ import annotations

from typing import Any

import grpc

from onevoice.billing.v1 import billing_service_pb2 as pb
from onevoice.billing.v1 import billing_service_pb2_grpc as pb_grpc
from onevoice_kit.grpc.interceptors import Access
from services.billing import converters
from services.billing.ledger import Ledger, quote

SERVICE = pb.DESCRIPTOR.services_by_name["BillingService"].full_name

ACCESS: Access = {
    "Quote": {"gateway", "orchestrator"},
    "Reserve": {"gateway"},
    "Settle": {"gateway", "orchestrator"},
    "Release": {"gateway", "orchestrator"},
    "GetAccount": {"gateway"},
    "ListLedger": {"gateway"},
    "ListOpenReservations": {"orchestrator"},
}
"""Callers of each method. The gateway releases and closes what a submission reserved that then failed."""

_Context = grpc.aio.ServicerContext[Any, Any]


class BillingServicer(pb_grpc.BillingServiceServicer):
    """Serves `onevoice.billing.v1.BillingService`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the service to a server."""
        pb_grpc.add_BillingServiceServicer_to_server(self, server)

    async def Quote(self, request: pb.QuoteRequest, _context: _Context) -> pb.QuoteResponse:
        """Returns the price of a job."""
        return converters.price_to_proto(quote(request.duration_ms, request.languages))

    async def Reserve(self, request: pb.ReserveRequest, _context: _Context) -> pb.ReserveResponse:
        """Sets credits aside."""
        account = await self._ledger.reserve(
            request.user_id, request.reservation_id, request.credits, job_id=request.job_id
        )
        return pb.ReserveResponse(account=converters.account_to_proto(account))

    async def Settle(self, request: pb.SettleRequest, _context: _Context) -> pb.SettleResponse:
        """Charges what was used and gives the rest back."""
        settlement = await self._ledger.settle(request.reservation_id, request.credits)
        return pb.SettleResponse(spent_credits=settlement.spent, released_credits=settlement.released)

    async def Release(self, request: pb.ReleaseRequest, _context: _Context) -> pb.ReleaseResponse:
        """Gives a reservation back whole."""
        return pb.ReleaseResponse(released_credits=await self._ledger.release(request.reservation_id))

    async def GetAccount(self, request: pb.GetAccountRequest, _context: _Context) -> pb.GetAccountResponse:
        """Gets an account, opening it at first sight."""
        account = await self._ledger.account(request.user_id)
        return pb.GetAccountResponse(account=converters.account_to_proto(account))

    async def ListLedger(self, request: pb.ListLedgerRequest, _context: _Context) -> pb.ListLedgerResponse:
        """Lists the entries of an account, newest first."""
        page = await self._ledger.entries(request.user_id, request.page_size, request.page_token)
        return converters.page_to_proto(page)

    async def ListOpenReservations(
        self, request: pb.ListOpenReservationsRequest, _context: _Context
    ) -> pb.ListOpenReservationsResponse:
        """Lists reservations that have been open for long."""
        page = await self._ledger.open_reservations(request.min_age_s, request.page_token)
        return pb.ListOpenReservationsResponse(
            reservation_ids=page.reservation_ids, next_page_token=page.next_page_token
        )
