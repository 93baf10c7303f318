"""File stores on temporary folders."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from onevoice_kit.storage.file import FileStorage
from onevoice_kit.storage.signing import UrlSigner

SIGNING_KEY = b"a key for tests"


def file_storage(
    folder: Path, *, base_url: str = "http://127.0.0.1:8000/storage", now: Callable[[], float] = time.time
) -> FileStorage:
    """A store on a folder; its signed URLs begin with `base_url`, and its clock may be the test's."""
    return FileStorage(folder, UrlSigner(SIGNING_KEY, base_url, now))
