"""The price of a job."""

from __future__ import annotations

import pytest

from onevoice_kit.errors import InvalidInput
from services.billing.ledger import MAX_DURATION_MS, MAX_LANGUAGES, Price, quote


@pytest.mark.parametrize(
    ("duration_ms", "languages", "price"),
    [
        (1, 1, Price(1, 1)),
        (1000, 1, Price(1, 1)),
        (1001, 1, Price(2, 2)),
        (60_000, 4, Price(240, 60)),
        (MAX_DURATION_MS, MAX_LANGUAGES, Price(604_800 * 200, 604_800)),
    ],
)
def test_a_started_second_of_each_language_costs_one_credit(duration_ms, languages, price):
    assert quote(duration_ms, languages) == price


@pytest.mark.parametrize(
    ("duration_ms", "languages", "reason"),
    [
        (0, 1, "invalid_duration"),
        (-1, 1, "invalid_duration"),
        (MAX_DURATION_MS + 1, 1, "invalid_duration"),
        (1000, 0, "invalid_languages"),
        (1000, -1, "invalid_languages"),
        (1000, MAX_LANGUAGES + 1, "invalid_languages"),
    ],
)
def test_what_cannot_be_dubbed_has_no_price(duration_ms, languages, reason):
    with pytest.raises(InvalidInput) as error:
        quote(duration_ms, languages)
    assert error.value.reason == reason
