"""The service as its callers see it: a real server, a real channel, a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from onevoice.billing.v1 import billing_service_pb2 as pb
from onevoice.billing.v1 import ledger_pb2
from onevoice.billing.v1.billing_service_pb2_grpc import BillingServiceStub
from onevoice_kit.db import transaction
from onevoice_kit.errors import Conflict, InvalidInput, NotFound, QuotaExceeded
from onevoice_kit.grpc.client import connect
from onevoice_kit.grpc.server import GrpcServer
from onevoice_kit.settings import GrpcServerSettings
from services.billing.ledger import Ledger
from services.billing.servicer import ACCESS, SERVICE, BillingServicer

TIMEOUT_S = 20.0


@pytest.fixture
async def billing(ledger: Ledger) -> AsyncIterator[BillingServiceStub]:
    settings = GrpcServerSettings(grpc_host="127.0.0.1", grpc_port=0)
    server = GrpcServer(settings, "billing", BillingServicer(ledger).register, services={SERVICE: ACCESS})
    await server.start()
    channel = connect(server.address)
    yield BillingServiceStub(channel)
    await channel.close(None)
    await server.stop(0)


async def test_a_quote_is_by_the_started_second_and_language(billing):
    answer = await billing.Quote(pb.QuoteRequest(duration_ms=61_001, languages=2), timeout=TIMEOUT_S)
    assert (answer.credits, answer.credits_per_language) == (124, 62)
    with pytest.raises(InvalidInput) as error:
        await billing.Quote(pb.QuoteRequest(duration_ms=0, languages=2), timeout=TIMEOUT_S)
    assert error.value.reason == "invalid_duration"


async def test_a_job_is_reserved_settled_and_shown_in_the_ledger(billing):
    request = pb.ReserveRequest(user_id="ann", reservation_id="run-1", credits=124, job_id="job-1")
    account = (await billing.Reserve(request, timeout=TIMEOUT_S)).account
    assert (account.user_id, account.available_credits, account.reserved_credits) == ("ann", 476, 124)
    settled = await billing.Settle(pb.SettleRequest(reservation_id="run-1", credits=62), timeout=TIMEOUT_S)
    assert (settled.spent_credits, settled.released_credits) == (62, 62)
    account = (await billing.GetAccount(pb.GetAccountRequest(user_id="ann"), timeout=TIMEOUT_S)).account
    assert (account.available_credits, account.reserved_credits) == (538, 0)
    page = await billing.ListLedger(pb.ListLedgerRequest(user_id="ann", page_size=3), timeout=TIMEOUT_S)
    newest = page.entries[1]
    assert (newest.kind, newest.credits) == (ledger_pb2.ENTRY_KIND_SETTLE, 62)
    assert (newest.reservation_id, newest.job_id) == ("run-1", "job-1")
    assert (newest.debit_account, newest.credit_account) == ("reserved", "revenue")
    assert newest.created_at.seconds > 0
    assert newest.id
    rest = pb.ListLedgerRequest(user_id="ann", page_token=page.next_page_token)
    last = await billing.ListLedger(rest, timeout=TIMEOUT_S)
    assert [(entry.kind, entry.reservation_id) for entry in last.entries] == [(ledger_pb2.ENTRY_KIND_GRANT, "")]
    assert last.next_page_token == ""


async def test_a_release_returns_the_credits_it_gave_back(billing):
    await billing.Reserve(pb.ReserveRequest(user_id="ann", reservation_id="job-1", credits=10), timeout=TIMEOUT_S)
    answers = [await billing.Release(pb.ReleaseRequest(reservation_id="job-1"), timeout=TIMEOUT_S) for _ in range(2)]
    assert [answer.released_credits for answer in answers] == [10, 0]


async def test_callers_get_typed_errors(billing):
    with pytest.raises(QuotaExceeded) as short:
        await billing.Reserve(pb.ReserveRequest(user_id="ann", reservation_id="job-1", credits=601), timeout=TIMEOUT_S)
    assert short.value.reason == "insufficient_credits"
    assert short.value.details == {"needed": "601", "available": "600"}
    assert not short.value.retryable
    with pytest.raises(NotFound) as missing:
        await billing.Settle(pb.SettleRequest(reservation_id="job-1", credits=1), timeout=TIMEOUT_S)
    assert missing.value.reason == "reservation_not_found"
    await billing.Reserve(pb.ReserveRequest(user_id="ann", reservation_id="job-1", credits=5), timeout=TIMEOUT_S)
    with pytest.raises(Conflict) as mismatch:
        await billing.Reserve(pb.ReserveRequest(user_id="ann", reservation_id="job-1", credits=6), timeout=TIMEOUT_S)
    assert mismatch.value.reason == "reservation_mismatch"


async def test_reservations_that_have_been_open_for_long_are_listed_page_by_page(billing, ledger, engine):
    async with transaction(engine) as connection:
        await connection.execute(text("INSERT INTO billing.accounts (user_id, available) VALUES ('ann', 600)"))
    for reservation_id in ("settled", "released", "young", "old"):
        await ledger.reserve("ann", reservation_id, 1)
    await ledger.settle("settled", 1)
    await ledger.release("released")
    many = """
        INSERT INTO billing.reservations (reservation_id, user_id, credits, state)
        SELECT 'job-' || n, 'ann', 1, 'open' FROM generate_series(100, 299) AS n"""
    async with transaction(engine) as connection:
        await connection.execute(text(many))
        hour_ago = (
            "UPDATE billing.reservations SET created_at = now() - interval '1 hour' WHERE reservation_id <> 'young'"
        )
        await connection.execute(text(hour_ago))
    request = pb.ListOpenReservationsRequest(min_age_s=3_000)
    first = await billing.ListOpenReservations(request, timeout=TIMEOUT_S)
    request.page_token = first.next_page_token
    second = await billing.ListOpenReservations(request, timeout=TIMEOUT_S)
    assert [*first.reservation_ids, *second.reservation_ids] == [*(f"job-{n}" for n in range(100, 300)), "old"]
    assert (len(first.reservation_ids), second.next_page_token) == (200, "")


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (pb.ListOpenReservationsRequest(min_age_s=-1), "invalid_age"),
        (pb.ListOpenReservationsRequest(min_age_s=2**62), "invalid_age"),
        (pb.ListOpenReservationsRequest(page_token="x" * 101), "invalid_page_token"),
        (pb.ListOpenReservationsRequest(page_token="\x00"), "invalid_page_token"),
    ],
)
async def test_a_list_of_reservations_that_makes_no_sense_is_refused(billing, request_, reason):
    with pytest.raises(InvalidInput) as error:
        await billing.ListOpenReservations(request_, timeout=TIMEOUT_S)
    assert error.value.reason == reason
