"""Retries under one rule: which errors, how often, how long, with which waits."""

from __future__ import annotations

import random

import pytest

from onevoice_kit.errors import Busy, InvalidInput, Unavailable
from onevoice_kit.retry import Backoff, Retry


class Time:
    """A clock that moves only while something sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


class Work:
    """Fails with these errors, one after another, then returns `done`."""

    def __init__(self, *errors: Exception, takes_s: float = 0.0, time: Time | None = None) -> None:
        self.errors = list(errors)
        self.executions = 0
        self.takes_s = takes_s
        self.time = time

    async def __call__(self) -> str:
        self.executions += 1
        if self.time is not None:
            self.time.now += self.takes_s
        if self.errors:
            raise self.errors.pop(0)
        return "done"


DOUBLING = Backoff(1.0, jitter=0.0)


def rule(time: Time, backoff: Backoff = DOUBLING, **bounds) -> Retry:
    return Retry(backoff, clock=time.clock, sleep=time.sleep, **bounds)


async def test_a_transient_error_is_retried_after_a_wait_that_doubles():
    time, work = Time(), Work(*[Unavailable()] * 3)
    assert await rule(time).call(work) == "done"
    assert time.waits == [1.0, 2.0, 4.0]


async def test_a_permanent_error_ends_it_at_once():
    time, work = Time(), Work(InvalidInput())
    with pytest.raises(InvalidInput):
        await rule(time).call(work)
    assert (work.executions, time.waits) == (1, [])


async def test_an_error_of_the_code_is_not_transient():
    time, work = Time(), Work(KeyError("x"))
    with pytest.raises(KeyError):
        await rule(time).call(work)
    assert work.executions == 1


async def test_attempts_bound_the_executions_and_the_last_error_is_raised():
    time, last = Time(), Unavailable("the third")
    work = Work(Unavailable("first"), Unavailable("second"), last, Unavailable("never"))
    with pytest.raises(Unavailable) as caught:
        await rule(time, attempts=3).call(work)
    assert caught.value is last
    assert work.executions == 3


async def test_a_wait_that_would_pass_the_end_of_the_budget_is_not_begun():
    time, work = Time(), Work(*[Unavailable()] * 9)
    with pytest.raises(Unavailable):
        await rule(time, budget_s=8.0).call(work)
    assert time.waits == [1.0, 2.0, 4.0]
    assert time.now == 7.0


async def test_the_time_that_the_work_takes_is_part_of_the_budget():
    time = Time()
    work = Work(*[Unavailable()] * 9, takes_s=3.0, time=time)
    with pytest.raises(Unavailable):
        await rule(time, budget_s=8.0).call(work)
    assert work.executions == 2


async def test_the_other_side_may_ask_for_a_longer_wait_than_the_longest_delay():
    time, work = Time(), Work(Busy(retry_after=50.0))
    await rule(time, Backoff(1.0, longest_s=5.0, jitter=0.0)).call(work)
    assert time.waits == [50.0]


async def test_a_requested_wait_beyond_the_budget_raises_at_once():
    time, work = Time(), Work(Busy(retry_after=50.0))
    with pytest.raises(Busy):
        await rule(time, budget_s=20.0).call(work)
    assert time.waits == []


@pytest.mark.parametrize(("jitter", "lowest"), [(1.0, 0.0), (0.5, 2.0), (0.0, 4.0)])
def test_jitter_is_the_random_part_of_a_delay(jitter, lowest):
    rng, backoff = random.Random(7), Backoff(1.0, longest_s=4.0, jitter=jitter)
    delays = [backoff.delay_s(9, rng) for _ in range(500)]
    assert lowest <= min(delays) <= lowest + 0.1
    assert 3.9 <= max(delays) <= 4.0


def test_delays_stay_between_the_shortest_and_the_longest_for_any_attempt():
    backoff = Backoff(1.0, longest_s=60.0, shortest_s=0.5)
    delays = [backoff.delay_s(attempt, random.Random(attempt)) for attempt in (1, 2, 40, 10_000)]
    assert all(0.5 <= delay <= 60.0 for delay in delays)


def test_the_same_seed_gives_the_same_delays():
    one, other = random.Random(3), random.Random(3)
    assert [Backoff().delay_s(n, one) for n in range(1, 9)] == [Backoff().delay_s(n, other) for n in range(1, 9)]


def test_a_wait_that_the_other_side_requests_counts_up_to_its_bound():
    backoff = Backoff(1.0, longest_s=2.0, jitter=0.0, longest_asked_s=60.0)
    assert [backoff.delay_s(1, random.Random(), asked_s) for asked_s in (0.0, 30.0, 600.0)] == [1.0, 30.0, 60.0]


async def test_each_delay_is_reported_before_it_begins():
    time, work, seen = Time(), Work(Unavailable("one"), Unavailable("two")), []

    async def on_retry(error, attempt, delay_s):
        seen.append((error.message, attempt, delay_s, time.now))

    await rule(time, on_retry=on_retry).call(work)
    assert seen == [("one", 1, 1.0, 0.0), ("two", 2, 2.0, 1.0)]
