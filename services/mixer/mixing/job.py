"""The use case Mix; what it needs of numpy and scipy is loaded with the first job."""

from __future__ import annotations

import asyncio
from importlib import import_module

from onevoice_kit.media_exec import Ffmpeg
from onevoice_kit.storage.base import Storage
from services.mixer.mixing.plan import Mix, MixJob
from services.mixer.progress import Report, silent


class Mixing:
    """Stands before `mixing.mixer`, whose imports take most of a second that the start of the service should not."""

    def __init__(self, storage: Storage, ffmpeg: Ffmpeg) -> None:
        """`ffmpeg` carries the limits."""
        self._storage = storage
        self._ffmpeg = ffmpeg

    async def mix(self, job: MixJob, report: Report = silent) -> Mix:
        """See `mixing.mixer.Mixer.mix`."""
        module = await asyncio.to_thread(import_module, "services.mixer.mixing.mixer")
        mix: Mix = await module.Mixer(self._storage, self._ffmpeg).mix(job, report)
        return mix
