"""Billing's values to protobuf."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from onevoice.billing.v1 import billing_service_pb2 as service_pb
from onevoice.billing.v1 import ledger_pb2 as pb
from services.billing.ledger import EntryPage, Price
from services.billing.models import Account, Entry, EntryKind

_KINDS = {
    EntryKind.GRANT: pb.ENTRY_KIND_GRANT,
    EntryKind.RESERVE: pb.ENTRY_KIND_RESERVE,
    EntryKind.SETTLE: pb.ENTRY_KIND_SETTLE,
    EntryKind.RELEASE: pb.ENTRY_KIND_RELEASE,
}


def account_to_proto(account: Account) -> pb.Account:
    """An account."""
    return pb.Account(user_id=account.user_id, available_credits=account.available, reserved_credits=account.reserved)


def entry_to_proto(entry: Entry) -> pb.LedgerEntry:
    """An entry of the ledger."""
    created_at = Timestamp()
    created_at.FromDatetime(entry.created_at)
    return pb.LedgerEntry(
        id=str(entry.id),
        kind=_KINDS[entry.kind],
        reservation_id=entry.reservation_id or "",
        job_id=entry.job_id or "",
        credits=entry.credits,
        debit_account=entry.debit_account,
        credit_account=entry.credit_account,
        created_at=created_at,
    )


def page_to_proto(page: EntryPage) -> service_pb.ListLedgerResponse:
    """A page of entries."""
    return service_pb.ListLedgerResponse(
        entries=[entry_to_proto(entry) for entry in page.entries], next_page_token=page.next_page_token
    )


def price_to_proto(price: Price) -> service_pb.QuoteResponse:
    """A quote."""
    return service_pb.QuoteResponse(credits=price.credits, credits_per_language=price.credits_per_language)
