"""Run as `python -m tests.support.media_run FOLDER WORK FILE…`: does WORK on each file and prints the end as JSON.

A process of its own, so that what the kernel counts for its children is what the media tools took.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from onevoice_kit.errors import OneVoiceError
from onevoice_kit.media_exec import Ffmpeg, MediaLimits, probe
from onevoice_kit.storage.base import ObjectRef
from onevoice_kit.testing.storage import file_storage
from services.mixer.extraction import ExtractionJob
from services.mixer.muxing import MuxJob
from services.mixer.probing import ProbeJob
from services.mixer.servicer import UseCases
from services.mixer.thumbnail import ThumbnailJob

_SRT = b"1\n00:00:00,000 --> 00:00:00,900\nHOLA\n\n"


class Run:
    """The mixer over an empty store."""

    def __init__(self, folder: Path) -> None:
        self.temp = folder / "work"
        self.temp.mkdir(exist_ok=True)
        self._storage = file_storage(folder / "objects")
        self._ffmpeg = Ffmpeg(MediaLimits(), self.temp)
        self._use = UseCases.over(self._storage, self._ffmpeg)

    async def do(self, work: str, path: Path) -> dict[str, Any]:
        """Does one kind of work on a file; `reason` is empty where it succeeds."""
        source = await self._storage.put_file(f"in/{path.name}", path, "video/mp4")
        began, reason, error = time.monotonic(), "", ""
        try:
            await self._work(work, source, path)
        except OneVoiceError as caught:
            reason, error = caught.reason, type(caught).__name__
        return {
            "name": path.name,
            "reason": reason,
            "error": error,
            "seconds": round(time.monotonic() - began, 1),
            "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10,
            "left": [one.name for one in self.temp.iterdir()],
            "outputs": [key async for key in self._storage.list("out")],
        }

    async def _work(self, work: str, source: ObjectRef, path: Path) -> None:
        if work == "probe":
            await self._use.prober.probe(ProbeJob(source))
        elif work == "tools":
            async with self._ffmpeg.workspace() as workspace:
                await probe(self._ffmpeg, workspace.link(path), workspace)
        elif work == "extract":
            await self._use.extractor.extract(ExtractionJob(source, "out"))
        elif work == "thumbnail":
            await self._use.thumbnailer.take(ThumbnailJob(source, 0, 640, "out"))
        else:
            captions = await self._storage.put_bytes("in/s.srt", _SRT, "application/x-subrip")
            burn_in = captions if work == "burn" else None
            await self._use.muxer.mux(MuxJob(source, (), True, "en", (), burn_in, 1000, "out"))


async def _main(folder: Path, work: str, paths: list[Path]) -> None:
    if work == "tools":
        # What remains where the index is read wrongly: the limits that the kernel holds.
        sys.modules["onevoice_kit.media_exec.probe"].check_index = lambda *_: None  # type: ignore[attr-defined]
    run = Run(folder)
    for path in paths:
        sys.stdout.write(json.dumps(await run.do(work, path)) + "\n")


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), sys.argv[2], [Path(name) for name in sys.argv[3:]]))
