"""Parts that engines of vendors share: waits that a vendor asks for, and the identity that follows from settings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import SecretStr

from onevoice_kit.engines.vendor import API_VERSION, Vendor, retry_after_s, variant


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7), ("0.5", 0.5), ("-3", 0), ("", None), ("soon", None), ("inf", None)]
)
def test_a_wait_is_read_from_its_number(value, seconds):
    assert retry_after_s({"retry-after": value}) == seconds


def test_a_wait_may_be_a_date():
    assert 3500 < (retry_after_s({"retry-after": format_datetime(datetime.now(UTC) + timedelta(hours=1))}) or 0) <= 3600
    assert retry_after_s({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}) == 0


def test_settings_that_change_the_result_change_the_version():
    assert variant(style=None, url="") == API_VERSION
    assert variant(style=0.0) != variant(style=0.1) != API_VERSION
    assert variant(style=0.1, url="") == variant(style=0.1)


def test_a_package_that_is_not_installed_is_named_as_it_is_installed(monkeypatch):
    monkeypatch.setattr("onevoice_kit.engines.vendor.find_spec", lambda _: None)
    described = Vendor("deepgram", 1.0, 1, ()).missing(SecretStr("key"), "DEEPGRAM_API_KEY", "deepgram")
    assert "“deepgram-sdk”" in described
