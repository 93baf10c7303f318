"""An own temporary folder for one piece of work, where every file has a fixed name."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Suffix = Literal["flac", "wav", "m4a", "mp4", "mkv", "jpg", "srt", "ffmeta", "f32", "s16"]


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file in a workspace; only a workspace makes one, so its name is never an outsider's."""

    name: str
    """Fixed name, relative to the workspace."""
    path: Path


class Workspace:
    """Files of one piece of work. The folder and all in it vanish at the end, however the work ends."""

    def __init__(self, folder: Path) -> None:
        """`folder` is empty and ours alone."""
        self.folder = folder
        self._count = 0

    def link(self, path: Path) -> MediaFile:
        """A file from elsewhere under a name of our own (`in0`, without a suffix: content decides what it is)."""
        file = self._next("in")
        file.path.symlink_to(path.resolve())
        return file

    def new(self, suffix: Suffix) -> MediaFile:
        """A name for a file to be written (`out1.flac`)."""
        return self._next("out", f".{suffix}")

    def _next(self, stem: str, suffix: str = "") -> MediaFile:
        name = f"{stem}{self._count}{suffix}"
        self._count += 1
        return MediaFile(name, self.folder / name)


@contextlib.asynccontextmanager
async def open_workspace(parent: Path | None = None) -> AsyncIterator[Workspace]:
    """A workspace for the length of the context, below `parent` or the system's temporary folder."""
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="onevoice-media-", dir=parent))
    try:
        yield Workspace(folder)
    finally:
        # Shielded, so that a second cancellation does not leave the folder behind.
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))
