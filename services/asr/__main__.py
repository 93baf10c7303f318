"""Runs the speech recognition service: `python -m services.asr`, settings from the environment."""

from __future__ import annotations

import asyncio
import os


async def main() -> None:
    """Wires and serves until SIGTERM."""
    # Imported here, because worker processes start from this module too and need none of it.
    from onevoice_kit.grpc.objects import Objects
    from onevoice_kit.grpc.server import serve
    from onevoice_kit.storage import open_storage
    from onevoice_kit.telemetry import setup
    from services.asr.servicer import ACCESS, SERVICE
    from services.asr.settings import AsrSettings
    from services.asr.wiring import wire

    settings = AsrSettings()
    setup(settings, "asr")
    storage = open_storage(settings)
    service = wire(settings, storage)
    await serve(
        settings,
        "asr",
        service.register,
        services={SERVICE: ACCESS},
        objects=Objects(storage, settings.storage_owner_depth),
        background=[service.warm],
        on_close=[storage.close, service.close],
    )


if __name__ == "__main__":
    # Before numpy is loaded, here and in the workers: at these sizes more threads wait for each other, spinning, and
    # cost three to ten times the processor time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    asyncio.run(main())
