"""The facts of stored files: a source is probed once, not by every call of its job."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from onevoice_kit.media_exec import Ffmpeg, MediaFacts, MediaFile, Workspace, bad_media, probe
from onevoice_kit.storage.base import ObjectRef, Storage
from services.mixer.results import content

CAPACITY = 256
"""Files remembered; a fact weighs less than a kilobyte."""


class KnownFacts:
    """Remembers the files probed last, those that were refused excepted."""

    def __init__(self, ffmpeg: Ffmpeg, capacity: int = CAPACITY) -> None:
        """`ffmpeg` carries the limits."""
        self._ffmpeg = ffmpeg
        self._capacity = capacity
        self._known: OrderedDict[str, MediaFacts] = OrderedDict()

    async def of(
        self, sha256: str, file: MediaFile, workspace: Workspace, *, require_audio: bool = False
    ) -> MediaFacts:
        """The facts of a file whose content has this checksum. Raises as `onevoice_kit.media_exec.probe` does."""
        facts = self._known.get(sha256) or await probe(self._ffmpeg, file, workspace)
        self.remember(sha256, facts)
        if require_audio and not facts.audio:
            raise bad_media("no_audio")
        return facts

    def remember(self, sha256: str, facts: MediaFacts) -> None:
        """Keeps what a probe has found of a file with this checksum."""
        self._known[sha256] = facts
        self._known.move_to_end(sha256)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)


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
