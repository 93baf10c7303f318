"""Returns the facts of a stored file."""

from __future__ import annotations

from dataclasses import dataclass

from onevoice_kit.media_exec import Ffmpeg, MediaFacts, bad_media
from onevoice_kit.storage.base import ObjectRef, Storage
from services.mixer.facts import KnownFacts
from services.mixer.results import content


@dataclass(frozen=True, slots=True)
class ProbeJob:
    """The file to probe."""

    source: ObjectRef
    require_audio: bool = False


class Prober:
    """Use case Probe."""

    def __init__(self, storage: Storage, ffmpeg: Ffmpeg, facts: KnownFacts | None = None) -> None:
        """`ffmpeg` carries the limits; `facts` is shared by the calls of one service."""
        self._facts = facts or KnownFacts(ffmpeg)
        self._storage = storage
        self._ffmpeg = ffmpeg

    async def probe(self, job: ProbeJob) -> MediaFacts:
        """Raises `InvalidInput` with the reasons of `onevoice_kit.media_exec.probe`."""
        # Before the download: a refused file should cost nothing.
        if job.source.size > self._ffmpeg.limits.max_file_bytes:
            raise bad_media("file_too_large", limit_bytes=str(self._ffmpeg.limits.max_file_bytes))
        async with self._storage.open_local(job.source) as path, self._ffmpeg.workspace() as workspace:
            file = workspace.link(path)
            return await self._facts.of(content(job.source), file, workspace, require_audio=job.require_audio)
