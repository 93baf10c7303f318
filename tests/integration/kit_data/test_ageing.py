"""Messages that wait long go before new ones, in the outbox's own queue and on the way to SQS."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import pytest
from sqlalchemy import text

from onevoice_kit import db
from onevoice_kit.queue.base import Message
from onevoice_kit.queue.order import AGE_S, aged
from onevoice_kit.queue.outbox import OutboxQueue, enqueue
from onevoice_kit.queue.relay import OutboxRelay

LOW, NORMAL, HIGH = -10, 0, 10
Next = Callable[[int], Awaitable[list[str]]]
"""The bodies of so many messages whose turn it is."""


class _Sender:
    def __init__(self) -> None:
        self.bodies: list[str] = []

    async def send(self, messages: Sequence[Message]) -> Sequence[bool]:
        self.bodies += [message.body for message in messages]
        return [True] * len(messages)


@pytest.fixture(params=["claimed", "relayed"])
def next_(request: pytest.FixtureRequest, outbox) -> Next:
    """Both ways by which our own order decides."""

    async def claimed(most: int) -> list[str]:
        return [delivery.body for delivery in await outbox.queue.receive(max_messages=most, wait_s=0)]

    async def relayed(most: int) -> list[str]:
        sender = _Sender()
        await OutboxRelay(outbox.engine, outbox.table, sender).relay_batch()
        return sender.bodies[:most]

    return claimed if request.param == "claimed" else relayed


async def _wait(outbox, *bodies: str, priority: int, waited_s: float = 0, user: str | None = None) -> None:
    """Messages that have waited so long; each its own user's, where none is named."""
    async with db.transaction(outbox.engine) as connection:
        for body in bodies:
            await enqueue(connection, outbox.table, Message(body, group_id=user or body), priority=priority)
            since = text(
                "UPDATE work.outbox SET created_at = now() - make_interval(secs => :waited) WHERE body = :body"
            )
            await connection.execute(since, {"waited": waited_s, "body": body})


async def test_low_that_has_waited_goes_before_normal_that_keeps_coming(outbox, next_: Next):
    await _wait(outbox, *(f"normal{n}" for n in range(12)), priority=NORMAL)
    await _wait(outbox, "low", priority=LOW, waited_s=AGE_S - 60)
    assert "low" not in await next_(5)

    await _wait(outbox, "old", priority=LOW, waited_s=AGE_S + 60)
    await _wait(outbox, *(f"more{n}" for n in range(30)), priority=NORMAL)
    assert "old" in [body for _ in range(2) for body in await next_(10)]


async def test_low_that_has_waited_twice_as_long_goes_before_high_that_keeps_coming(outbox, next_: Next):
    await _wait(outbox, "low", priority=LOW, waited_s=2 * AGE_S + 60)
    await _wait(outbox, *(f"high{n}" for n in range(12)), priority=HIGH)
    assert (await next_(1)) == ["low"]


async def test_what_has_waited_longest_counts_no_more_than_high(outbox, next_: Next):
    await _wait(outbox, "high", priority=HIGH)
    await _wait(outbox, "ancient", priority=NORMAL, waited_s=100 * AGE_S)
    assert await next_(2) == ["high", "ancient"]


async def test_users_share_fairly_however_long_one_of_them_has_waited(outbox, next_: Next):
    await _wait(outbox, *(f"a{n}" for n in range(5)), priority=NORMAL, waited_s=10 * AGE_S, user="a")
    await _wait(outbox, "b0", priority=HIGH, user="b")
    assert await next_(3) == ["a0", "b0", "a1"]


async def test_also_a_users_own_normal_jobs_let_an_old_low_one_pass(outbox, next_: Next):
    await _wait(outbox, "old", priority=LOW, waited_s=AGE_S + 60, user="a")
    await _wait(outbox, *(f"new{n}" for n in range(5)), priority=NORMAL, user="a")
    assert await next_(2) == ["old", "new0"]


async def test_how_fast_a_queue_ages_can_be_set(outbox):
    queue = OutboxQueue(outbox.engine, outbox.table, 30, age_s=10)
    await _wait(outbox, "normal", priority=NORMAL)
    await _wait(outbox, "low", priority=LOW, waited_s=25)
    assert [delivery.body for delivery in await queue.receive(max_messages=2, wait_s=0)] == ["low", "normal"]
    await queue.close()


async def test_sql_and_the_formula_say_the_same(outbox, next_: Next):
    cases = [(priority, waited) for priority in (-300, -15, -10, 0, 5, 10, 11, 300) for waited in (-60, 300, 900, 9000)]
    for priority, waited in cases:
        await _wait(outbox, f"{priority} {waited}", priority=priority, waited_s=waited)
    formula = sorted(range(len(cases)), key=lambda n: (-aged(*cases[n]), n))
    assert await next_(10) == ["{} {}".format(*cases[n]) for n in formula[:10]]
    rest = [body for _ in range(4) for body in await next_(10)]
    assert rest == ["{} {}".format(*cases[n]) for n in formula[10:]]


@pytest.mark.parametrize(
    ("priority", "waited_s", "counts_as"),
    [
        (LOW, AGE_S - 1, LOW),
        (LOW, AGE_S, NORMAL),
        (LOW, 2 * AGE_S, HIGH),
        (LOW, 9 * AGE_S, HIGH),
        (NORMAL, AGE_S, HIGH),
        (HIGH, 9 * AGE_S, HIGH),
        (HIGH + 5, 9 * AGE_S, HIGH + 5),
        (NORMAL, -AGE_S, NORMAL),
    ],
)
def test_a_priority_grows_by_a_class_for_each_time_up_to_high(priority: int, waited_s: float, counts_as: int):
    assert aged(priority, waited_s) == counts_as
