"""Settings of the billing service; environment variables of the same names."""

from __future__ import annotations

from pydantic import Field

from onevoice_kit.settings import DatabaseSettings, GrpcServerSettings


class BillingSettings(GrpcServerSettings, DatabaseSettings):
    """The settings of the service."""

    free_credits: int = Field(default=600, ge=0, le=10**9)
    """Granted to every account when it is opened."""
