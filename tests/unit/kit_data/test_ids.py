"""Time-ordered ids."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from onevoice_kit.db.ids import Uuid7Source


def test_ids_are_version_7_and_carry_the_time():
    before = time.time_ns() // 1_000_000
    made = Uuid7Source()()
    after = time.time_ns() // 1_000_000
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert before <= made.int >> 80 <= after


def test_ids_made_one_after_another_increase_also_within_a_millisecond():
    source = Uuid7Source()
    made = [source() for _ in range(5_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_increase_when_the_clock_goes_back(monkeypatch):
    source = Uuid7Source()
    first = source()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert source() > first


def test_threads_share_a_source():
    source = Uuid7Source()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: source(), range(4_000)))
    assert len({id_.int >> 64 for id_ in made}) == len(made)
