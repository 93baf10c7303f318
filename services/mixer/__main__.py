"""Runs the mixer: `python -m services.mixer`."""

from __future__ import annotations

import asyncio

from onevoice.mixer.v1 import mixer_service_pb2_grpc as pb_grpc
from onevoice_kit import telemetry
from onevoice_kit.grpc.objects import Objects
from onevoice_kit.grpc.server import serve
from onevoice_kit.media_exec import Ffmpeg
from onevoice_kit.storage import open_storage
from services.mixer.servicer import ACCESS, SERVICE, MixerServicer, UseCases, limit
from services.mixer.settings import MixerSettings


async def main() -> None:
    """Serves until a signal stops it."""
    settings = MixerSettings()
    telemetry.setup(settings, "mixer")
    storage = open_storage(settings)
    ffmpeg = Ffmpeg(settings.media_limits(), settings.media_temp_dir)
    limits = (limit(running, settings.mixer_max_waiting) for running in (settings.jobs(), 2 * settings.jobs()))
    servicer = MixerServicer(UseCases.over(storage, ffmpeg), *limits)
    await serve(
        settings,
        "mixer",
        lambda server: pb_grpc.add_MixerServiceServicer_to_server(servicer, server),
        services={SERVICE: ACCESS},
        objects=Objects(storage, settings.storage_owner_depth),
        on_close=[storage.close],
    )


if __name__ == "__main__":
    asyncio.run(main())
