"""The settings of the billing service come from the environment."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.billing.settings import BillingSettings


def test_settings_are_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:pa55word@host/db")
    monkeypatch.setenv("FREE_CREDITS", "42")
    monkeypatch.setenv("GRPC_PORT", "50060")
    settings = BillingSettings()
    assert (settings.free_credits, settings.grpc_port) == (42, 50060)
    assert "pa55word" not in repr(settings)


def test_an_account_opens_with_ten_minutes_by_default(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://host/db")
    monkeypatch.delenv("FREE_CREDITS", raising=False)
    assert BillingSettings().free_credits == 600


def test_nothing_starts_without_a_database(monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(ValidationError, match="database_url"):
        BillingSettings()
