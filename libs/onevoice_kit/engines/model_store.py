"""Fetched models: a folder with one folder for each, and in it a record of the model's files with their hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECORD = "onevoice-model.json"
"""Written last, so a folder without it is no model."""
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file as it was fetched."""

    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A fetched model."""

    folder: Path
    id: str
    """Of the hub: `owner/name`."""
    revision: str
    """The commit that was fetched."""
    licence: str
    files: Mapping[str, FileRecord]

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name

    def write(self) -> None:
        """Writes the record into the folder."""
        files = {name: {"size": one.size, "sha256": one.sha256} for name, one in self.files.items()}
        data = {"id": self.id, "revision": self.revision, "licence": self.licence, "files": files}
        (self.folder / RECORD).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")

    def damaged(self, *, hashes: bool = True) -> list[str]:
        """The files that are missing or are not those that were fetched; without `hashes`, by their size alone."""
        return [name for name, file in self.files.items() if not _is_same(self.folder / name, file, hashes)]


def stored_models(folder: Path) -> list[StoredModel]:
    """The models of a folder in the order of their names; none where it does not exist."""
    try:
        records = sorted(folder.expanduser().glob(f"*/{RECORD}"))
    except (OSError, RuntimeError):  # no home folder
        return []
    return list(_readable(records))


def sha256(path: Path) -> str:
    """The hash of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _readable(records: list[Path]) -> Iterator[StoredModel]:
    for path in records:
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            files = {name: FileRecord(int(one["size"]), str(one["sha256"])) for name, one in data["files"].items()}
            yield StoredModel(path.parent, data["id"], data["revision"], data["licence"], files)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # not a record of ours


def _is_same(path: Path, file: FileRecord, hashes: bool) -> bool:
    try:
        return path.stat().st_size == file.size and (not hashes or sha256(path) == file.sha256)
    except OSError:
        return False
