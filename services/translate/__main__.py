"""Runs the translation service: `python -m services.translate`, settings from the environment."""

from __future__ import annotations

import asyncio

from onevoice_kit.grpc.server import serve
from onevoice_kit.telemetry import setup
from services.translate.servicer import ACCESS, SERVICE
from services.translate.settings import TranslateSettings
from services.translate.wiring import wire


async def main() -> None:
    """Wires and serves until SIGTERM."""
    settings = TranslateSettings()
    setup(settings, "translate")
    service = wire(settings)
    await serve(
        settings,
        "translate",
        service.register,
        services={SERVICE: ACCESS},
        background=[service.warm],
        on_close=[service.close],
    )


if __name__ == "__main__":
    asyncio.run(main())
