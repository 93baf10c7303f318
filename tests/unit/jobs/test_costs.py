"""The cost of a job: shares that add up, sums by engine, and costs that are not known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from onevoice_jobs.costs import Cost, added, report, shares, total_usd

PAID, MORE, FREE, UNKNOWN = (
    Cost("tts", "elevenlabs", 1_234_567),
    Cost("tts", "elevenlabs", 1),
    Cost("asr", "whisper", 0),
    Cost("translate", "openai", None),
)


@given(st.integers(0, 10**9), st.integers(1, 500))
def test_shares_add_up_and_differ_by_at_most_one(microusd: int, count: int) -> None:
    parts = shares(microusd, count)
    assert sum(part for part in parts if part is not None) == microusd
    assert len({*parts}) <= 2
    assert max(part or 0 for part in parts) - min(part or 0 for part in parts) <= 1


def test_of_a_cost_that_is_not_known_no_share_is() -> None:
    assert shares(None, 2) == [None, None]
    assert shares(7, 0) == []


def test_costs_add_up_by_stage_and_engine() -> None:
    found = added([PAID, FREE, UNKNOWN, MORE, Cost("translate", "openai", 5)])
    assert report(found) == [
        {"stage": "tts", "engine": "elevenlabs", "usd": "1.234568"},
        {"stage": "asr", "engine": "whisper", "usd": "0.000000"},
        {"stage": "translate", "engine": "openai", "usd": None},
    ]


def test_a_total_with_a_part_that_is_not_known_is_not_known() -> None:
    assert total_usd([PAID, FREE]) == "1.234567"
    assert total_usd([]) == "0.000000"
    assert total_usd([PAID, UNKNOWN]) is None
