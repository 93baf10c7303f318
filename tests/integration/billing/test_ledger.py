"""The ledger: each operation once per reservation, never more than there is, and the books always balance."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from onevoice_kit.db import transaction
from onevoice_kit.errors import Conflict, InvalidInput, NotFound, OneVoiceError, QuotaExceeded
from services.billing.ledger import Ledger, Settlement
from services.billing.models import Account, EntryKind

BALANCES = text("""
    WITH moved AS (
        SELECT user_id, debit_account AS account, -credits AS amount FROM billing.entries
        UNION ALL SELECT user_id, credit_account, credits FROM billing.entries
    ), booked AS (
        SELECT user_id,
               coalesce(sum(amount) FILTER (WHERE account = 'available'), 0) AS available,
               coalesce(sum(amount) FILTER (WHERE account = 'reserved'), 0) AS reserved,
               coalesce(sum(amount) FILTER (WHERE account = 'revenue'), 0) AS revenue,
               coalesce(-sum(amount) FILTER (WHERE account = 'issued'), 0) AS issued
        FROM moved GROUP BY user_id
    )
    SELECT a.available, a.reserved, booked.available AS booked_available, booked.reserved AS booked_reserved,
           booked.revenue, booked.issued,
           (SELECT coalesce(sum(credits), 0) FROM billing.reservations AS r
            WHERE r.user_id = a.user_id AND r.state = 'open') AS open
    FROM billing.accounts AS a JOIN booked USING (user_id)
""")


async def check_books(engine: AsyncEngine) -> None:
    """Balances are what the entries say, what is reserved is what is open, and nothing is lost or made."""
    async with transaction(engine) as connection:
        rows = (await connection.execute(BALANCES)).all()
    assert rows
    for row in rows:
        assert (row.available, row.reserved) == (row.booked_available, row.booked_reserved)
        assert row.reserved == row.open
        assert row.available + row.reserved + row.revenue == row.issued


async def reason(call: Awaitable[Any]) -> str:
    """The reason a call fails with, or `ok`."""
    try:
        await call
    except OneVoiceError as error:
        return error.reason
    return "ok"


async def kinds(ledger: Ledger, user_id: str = "ann") -> list[tuple[str, int]]:
    page = await ledger.entries(user_id, 200)
    return [(entry.kind.value, entry.credits) for entry in reversed(page.entries)]


async def test_an_account_opens_at_first_sight_with_its_free_credits(ledger, engine):
    assert await ledger.account("ann") == Account("ann", 600, 0)
    assert await ledger.account("ann") == Account("ann", 600, 0)
    assert await kinds(ledger) == [("grant", 600)]
    await check_books(engine)


async def test_an_account_opened_by_many_at_once_gets_its_credits_once(ledger):
    opened = await asyncio.gather(*(ledger.account("ann") for _ in range(20)))
    assert set(opened) == {Account("ann", 600, 0)}
    assert await kinds(ledger) == [("grant", 600)]


async def test_without_free_credits_an_account_opens_empty(engine):
    ledger = Ledger(engine, 0)
    assert await ledger.account("ann") == Account("ann", 0, 0)
    assert await kinds(ledger) == []


async def test_reserved_credits_are_set_aside(ledger, engine):
    assert await ledger.reserve("ann", "job-1", 200) == Account("ann", 400, 200)
    assert await ledger.account("ann") == Account("ann", 400, 200)
    await check_books(engine)


async def test_reserving_again_changes_nothing(ledger):
    first = await ledger.reserve("ann", "job-1", 200)
    assert await ledger.reserve("ann", "job-1", 200) == first
    assert await kinds(ledger) == [("grant", 600), ("reserve", 200)]


async def test_one_job_reserved_by_many_at_once_is_reserved_once(ledger, engine):
    answers = await asyncio.gather(*(ledger.reserve("ann", "job-1", 200) for _ in range(20)))
    assert set(answers) == {Account("ann", 400, 200)}
    await check_books(engine)


@pytest.mark.parametrize(("user_id", "credits_"), [("ann", 201), ("bob", 200)])
async def test_a_job_is_not_reserved_again_on_other_terms(ledger, user_id, credits_):
    await ledger.reserve("ann", "job-1", 200)
    with pytest.raises(Conflict) as error:
        await ledger.reserve(user_id, "job-1", credits_)
    assert error.value.reason == "reservation_mismatch"


async def test_more_than_there_is_cannot_be_reserved(ledger, engine):
    await ledger.reserve("ann", "job-1", 500)
    with pytest.raises(QuotaExceeded) as error:
        await ledger.reserve("ann", "job-2", 101)
    assert (error.value.reason, error.value.details) == ("insufficient_credits", {"needed": "101", "available": "100"})
    assert await ledger.reserve("ann", "job-3", 100) == Account("ann", 0, 600)
    await check_books(engine)


async def test_fifty_reservations_at_once_never_overspend(ledger, engine):
    calls = (reason(ledger.reserve("ann", f"job-{n}", 50)) for n in range(50))
    outcomes = await asyncio.gather(*calls)
    assert (outcomes.count("ok"), outcomes.count("insufficient_credits")) == (12, 38)
    assert await ledger.account("ann") == Account("ann", 0, 600)
    await check_books(engine)


async def test_settling_spends_what_was_used_and_gives_the_rest_back(ledger, engine):
    await ledger.reserve("ann", "job-1", 200)
    assert await ledger.settle("job-1", 150) == Settlement(150, 50)
    assert await ledger.account("ann") == Account("ann", 450, 0)
    assert await kinds(ledger) == [("grant", 600), ("reserve", 200), ("settle", 150), ("release", 50)]
    await check_books(engine)


@pytest.mark.parametrize(
    ("used", "settlement", "available"), [(999, Settlement(200, 0), 400), (0, Settlement(0, 200), 600)]
)
async def test_a_job_costs_between_nothing_and_what_it_reserved(ledger, engine, used, settlement, available):
    await ledger.reserve("ann", "job-1", 200)
    assert await ledger.settle("job-1", used) == settlement
    assert await ledger.account("ann") == Account("ann", available, 0)
    await check_books(engine)


async def test_settling_again_gives_the_first_answer(ledger):
    await ledger.reserve("ann", "job-1", 200)
    answers = await asyncio.gather(*(ledger.settle("job-1", 150) for _ in range(10)))
    assert set(answers) == {Settlement(150, 50)}
    assert await ledger.settle("job-1", 10) == Settlement(150, 50)
    assert await ledger.account("ann") == Account("ann", 450, 0)


async def test_what_was_not_reserved_cannot_be_settled(ledger):
    with pytest.raises(NotFound) as error:
        await ledger.settle("job-1", 1)
    assert error.value.reason == "reservation_not_found"


async def test_releasing_gives_everything_back_once(ledger, engine):
    await ledger.reserve("ann", "job-1", 200)
    released = await asyncio.gather(*(ledger.release("job-1") for _ in range(10)))
    assert sorted(released) == [0] * 9 + [200]
    assert await ledger.account("ann") == Account("ann", 600, 0)
    await check_books(engine)


async def test_after_a_settlement_there_is_nothing_to_release(ledger):
    await ledger.reserve("ann", "job-1", 200)
    await ledger.settle("job-1", 150)
    assert await ledger.release("job-1") == 0
    assert await ledger.account("ann") == Account("ann", 450, 0)


async def test_what_was_released_can_be_neither_settled_nor_reserved_again(ledger):
    await ledger.reserve("ann", "job-1", 200)
    await ledger.release("job-1")
    assert await reason(ledger.settle("job-1", 1)) == "reservation_closed"
    assert await reason(ledger.reserve("ann", "job-1", 200)) == "reservation_closed"


async def test_a_release_that_overtakes_its_reservation_prevents_it(ledger, engine):
    assert await ledger.release("job-1") == 0
    assert await reason(ledger.reserve("ann", "job-1", 200)) == "reservation_closed"
    assert await ledger.account("ann") == Account("ann", 600, 0)
    await check_books(engine)


async def test_settle_and_release_at_once_end_in_one_of_both(ledger, engine):
    for n in range(10):
        reservation_id = f"job-{n}"
        await ledger.reserve("ann", reservation_id, 50)
        settled, released = await asyncio.gather(
            reason(ledger.settle(reservation_id, 0)), ledger.release(reservation_id)
        )
        assert (settled, released) in {("ok", 0), ("reservation_closed", 50)}
    assert await ledger.account("ann") == Account("ann", 600, 0)
    await check_books(engine)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda ledger: ledger.account(""), "invalid_user_id"),
        (lambda ledger: ledger.account("x" * 101), "invalid_user_id"),
        (lambda ledger: ledger.account("a\0b"), "invalid_user_id"),
        (lambda ledger: ledger.reserve("ann", "", 1), "invalid_reservation_id"),
        (lambda ledger: ledger.reserve("ann", "job", 0), "invalid_credits"),
        (lambda ledger: ledger.reserve("ann", "job", -5), "invalid_credits"),
        (lambda ledger: ledger.reserve("ann", "job", 2**62), "invalid_credits"),
        (lambda ledger: ledger.settle("job", -1), "invalid_credits"),
        (lambda ledger: ledger.release(""), "invalid_reservation_id"),
        (lambda ledger: ledger.entries("ann", -1), "invalid_page_size"),
        (lambda ledger: ledger.entries("ann", 1, "no token"), "invalid_page_token"),
        (lambda ledger: ledger.entries("ann", 1, "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OQ"), "invalid_page_token"),
    ],
)
async def test_values_that_make_no_sense_are_refused(
    ledger: Ledger, call: Callable[[Ledger], Awaitable[Any]], expected: str
):
    with pytest.raises(InvalidInput) as error:
        await call(ledger)
    assert error.value.reason == expected


async def test_entries_are_listed_newest_first_page_by_page(ledger):
    for n in range(5):
        await ledger.reserve("ann", f"job-{n}", 10)
    await ledger.account("bob")
    jobs, token, pages = [], "", 0
    while pages == 0 or token:
        page = await ledger.entries("ann", 2, token)
        jobs += [entry.reservation_id for entry in page.entries]
        token, pages = page.next_page_token, pages + 1
    assert jobs == ["job-4", "job-3", "job-2", "job-1", "job-0", None]
    assert pages == 3
    assert (await ledger.entries("nobody")).entries == ()


async def test_a_job_has_several_paid_charges_and_the_ledger_names_it(ledger):
    await ledger.reserve("ann", "first-run", 200, job_id="job-1")
    await ledger.settle("first-run", 150)
    await ledger.reserve("ann", "second-run", 20, job_id="job-1")
    assert await ledger.settle("second-run", 20) == Settlement(20, 0)
    found = (await ledger.entries("ann")).entries
    charged = [(entry.reservation_id, entry.job_id) for entry in found if entry.kind is EntryKind.SETTLE]
    assert charged == [("second-run", "job-1"), ("first-run", "job-1")]
    assert await ledger.account("ann") == Account("ann", 430, 0)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE billing.entries SET credits = 1",
        "DELETE FROM billing.entries",
        "DELETE FROM billing.entries WHERE false",
        "TRUNCATE billing.entries CASCADE",
    ],
)
async def test_entries_cannot_be_changed_even_by_sql(ledger, engine, statement):
    await ledger.account("ann")
    with pytest.raises(DBAPIError, match="never changed"):
        async with transaction(engine) as connection:
            await connection.execute(text(statement))
    assert await kinds(ledger) == [("grant", 600)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE billing.accounts SET available = -1",
        "UPDATE billing.accounts SET reserved = -1",
        "UPDATE billing.reservations SET state = 'open'",
        "UPDATE billing.reservations SET spent = credits + 1",
        (
            "INSERT INTO billing.entries (id, user_id, kind, reservation_id, credits, debit_account, credit_account) "
            "VALUES (gen_random_uuid(), 'ann', 'settle', 'job-1', 1, 'reserved', 'revenue')"
        ),
        (
            "INSERT INTO billing.entries (id, user_id, kind, reservation_id, credits, debit_account, credit_account) "
            "VALUES (gen_random_uuid(), 'ann', 'settle', 'job-2', 0, 'reserved', 'revenue')"
        ),
        (
            "INSERT INTO billing.entries (id, user_id, kind, reservation_id, credits, debit_account, credit_account) "
            "VALUES (gen_random_uuid(), 'ann', 'settle', 'job-2', 1, 'issued', 'revenue')"
        ),
    ],
)
async def test_the_database_itself_refuses_what_the_rules_forbid(ledger, engine, statement):
    await ledger.reserve("ann", "job-1", 200)
    await ledger.settle("job-1", 150)
    with pytest.raises(IntegrityError):
        async with transaction(engine) as connection:
            await connection.execute(text(statement))
    await check_books(engine)


class Model:
    """The expected answers of the ledger, in a few lines of arithmetic."""

    def __init__(self) -> None:
        self.available = {"ann": 600, "bob": 600}
        self.jobs: dict[str, tuple[str, int, str, int]] = {}

    def reserve(self, user: str, job: str, amount: int) -> str:
        if job in self.jobs:
            owner, reserved, state, _ = self.jobs[job]
            if owner and (owner, reserved) != (user, amount):
                return "reservation_mismatch"
            return "ok" if state == "open" else "reservation_closed"
        if self.available[user] < amount:
            return "insufficient_credits"
        self.available[user] -= amount
        self.jobs[job] = (user, amount, "open", 0)
        return "ok"

    def settle(self, job: str, amount: int) -> str:
        if job not in self.jobs:
            return "reservation_not_found"
        owner, reserved, state, _ = self.jobs[job]
        if state == "open":
            spent = min(amount, reserved)
            self.available[owner] += reserved - spent
            self.jobs[job] = (owner, reserved, "settled", spent)
        return "reservation_closed" if state == "released" else "ok"

    def release(self, job: str) -> str:
        owner, reserved, state, _ = self.jobs.setdefault(job, ("", 0, "released", 0))
        if state == "open":
            self.available[owner] += reserved
            self.jobs[job] = (owner, reserved, "released", 0)
        return "ok"


@pytest.mark.parametrize("seed", range(5))
async def test_any_sequence_of_operations_keeps_the_books(ledger, engine, seed):
    chance, model = random.Random(seed), Model()
    await asyncio.gather(ledger.account("ann"), ledger.account("bob"))
    for _ in range(120):
        job, amount = f"job-{chance.randrange(25)}", chance.choice([1, 30, 100, 250])
        match chance.choice(["reserve", "reserve", "settle", "release"]):
            case "reserve":
                user = chance.choice(["ann", "bob"])
                expected, call = model.reserve(user, job, amount), ledger.reserve(user, job, amount)
            case "settle":
                expected, call = model.settle(job, amount), ledger.settle(job, amount)
            case _:
                expected, call = model.release(job), ledger.release(job)
        assert await reason(call) == expected
    await check_books(engine)
    for user, available in model.available.items():
        reserved = sum(item[1] for item in model.jobs.values() if item[0] == user and item[2] == "open")
        assert await ledger.account(user) == Account(user, available, reserved)


@pytest.mark.parametrize("seed", range(3))
async def test_any_operations_at_once_keep_the_books(ledger, engine, seed):
    chance = random.Random(seed)
    jobs = [f"job-{n}" for n in range(8)]
    await ledger.account("ann")  # where releases overtake all reservations, none opens an account

    def operation() -> Awaitable[str]:
        job, amount = chance.choice(jobs), chance.choice([50, 100, 200])
        match chance.choice(["reserve", "settle", "release"]):
            case "reserve":
                return reason(ledger.reserve(chance.choice(["ann", "bob"]), job, amount))
            case "settle":
                return reason(ledger.settle(job, amount))
            case _:
                return reason(ledger.release(job))

    outcomes = await asyncio.gather(*(operation() for _ in range(150)))
    known = {"ok", "reservation_mismatch", "reservation_closed", "reservation_not_found", "insufficient_credits"}
    assert set(outcomes) <= known
    await check_books(engine)
