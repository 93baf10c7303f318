"""Waiting in tests."""

from __future__ import annotations

import pytest

from onevoice_kit.testing.waiting import eventually


async def test_it_gives_the_first_truthy_value():
    answers = iter([None, 0, "there"])
    assert await eventually(lambda: next(answers), interval=0) == "there"


async def test_it_takes_async_predicates_and_forgives_failed_asserts():
    calls = 0

    async def third_time() -> bool:
        nonlocal calls
        calls += 1
        assert calls >= 3
        return True

    assert await eventually(third_time, interval=0)
    assert calls == 3


async def test_it_gives_up_with_the_last_failure():
    def never() -> bool:
        raise AssertionError("two is not three")

    with pytest.raises(AssertionError, match="two is not three"):
        await eventually(never, timeout=0)
