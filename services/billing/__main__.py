"""Runs the billing service: `python -m services.billing`, settings from the environment."""

from __future__ import annotations

import asyncio

from onevoice_kit.db import create_engine
from onevoice_kit.grpc.server import serve
from onevoice_kit.telemetry import setup
from services.billing.ledger import Ledger
from services.billing.servicer import ACCESS, SERVICE, BillingServicer
from services.billing.settings import BillingSettings


async def main() -> None:
    """Wires and serves until SIGTERM."""
    settings = BillingSettings()
    setup(settings, "billing")
    engine = create_engine(settings)
    servicer = BillingServicer(Ledger(engine, settings.free_credits))
    await serve(settings, "billing", servicer.register, services={SERVICE: ACCESS}, on_close=[engine.dispose])


if __name__ == "__main__":
    asyncio.run(main())
