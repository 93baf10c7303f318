"""Engine `pocketsphinx`: no key, no network, US English, several regions at once in their own processes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from onevoice_kit.engines.base import EngineInfo
from services.asr.engines.base import Capabilities, TimeRange, Utterance
from services.asr.engines.context import with_context
from services.asr.engines.pocketsphinx_worker import Task, load, recognise
from services.asr.engines.worker_pool import WorkerPool
from services.asr.settings import AsrSettings

NAME = "pocketsphinx"
_MISSING = "The engine “pocketsphinx” needs the Python package “pocketsphinx”; install the extra `onevoice[asr]`."
_CONTEXT_MS = 150
"""Word errors without it and with it: 26.8 and 25.4 % of 71 read words, 56.3 and 45.1 % over music (-12 dB)."""


class PocketSphinx:
    """The engine `pocketsphinx`."""

    def __init__(self, workers: int) -> None:
        self._pool = WorkerPool(workers, load)

    async def describe(self) -> Capabilities:
        missing = "" if find_spec("pocketsphinx") else _MISSING
        return Capabilities(info=EngineInfo(NAME, "en-us", _version()), languages=("en",), missing=missing)

    async def warm(self) -> None:
        """Starts the processes; each loads the model once."""
        await self._pool.warm()

    async def transcribe(
        self,
        audio: Path,
        regions: Sequence[TimeRange],
        language: str,  # noqa: ARG002 - there is one model
    ) -> AsyncGenerator[Utterance]:
        """As the protocol has it; one task for each region, so that all processes have work."""
        tasks = [
            Task(audio, region, heard)
            for region, heard in zip(regions, with_context(regions, _CONTEXT_MS), strict=True)
        ]
        async with aclosing(self._pool.map(recognise, tasks)) as utterances:
            async for utterance in utterances:
                yield utterance

    async def close(self) -> None:
        """Ends the processes."""
        await self._pool.close()


def create(settings: AsrSettings) -> PocketSphinx:
    """The engine as the settings want it."""
    return PocketSphinx(settings.workers)


@cache
def _version() -> str:
    try:
        return version("pocketsphinx")
    except PackageNotFoundError:
        return ""
