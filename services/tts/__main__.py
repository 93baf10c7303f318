"""Runs the speech synthesis service: `python -m services.tts`, settings from the environment."""

from __future__ import annotations

import asyncio

from onevoice_kit.grpc.objects import Objects
from onevoice_kit.grpc.server import serve
from onevoice_kit.storage import open_storage
from onevoice_kit.telemetry import setup
from services.tts.servicer import ACCESS, SERVICE
from services.tts.settings import TtsSettings
from services.tts.wiring import wire


async def main() -> None:
    """Wires and serves until SIGTERM."""
    settings = TtsSettings()
    setup(settings, "tts")
    storage = open_storage(settings)
    service = wire(settings, storage)
    await serve(
        settings,
        "tts",
        service.register,
        services={SERVICE: ACCESS},
        objects=Objects(storage, settings.storage_owner_depth),
        background=[service.warm],
        on_close=[storage.close, service.close],
    )


if __name__ == "__main__":
    asyncio.run(main())
