"""The facts of files, by their content: a source is probed once, not by every call of its job."""

from __future__ import annotations

from collections import OrderedDict

from onevoice_kit.media_exec import Ffmpeg, MediaFacts, MediaFile, Workspace, bad_media, probe

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
        self._known[sha256] = facts
        self._known.move_to_end(sha256)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)
        if require_audio and not facts.audio:
            raise bad_media("no_audio")
        return facts
