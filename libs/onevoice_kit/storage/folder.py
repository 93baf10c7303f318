"""The blocking half of the file store: objects and what is known about them, written atomically."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from uuid import uuid4

from onevoice_kit.errors import NotFound
from onevoice_kit.storage.base import check_key

_BLOCK = 1 << 20
_COPIED_AGAIN = 5
"""Number of times a write makes its folder anew when a delete removed it meanwhile."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of an object; stored beside it, valid for one state of its file."""

    sha256: str
    content_type: str
    verified: bool
    """False for an upload that has not been accepted yet."""
    size: int
    mtime_ns: int
    """With `size`, identifies the state of the file that these facts describe."""


class TempWriter:
    """A temporary file that counts and hashes what is written, and is given its place or dropped."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / uuid4().hex
        self.size = 0
        self._hash = hashlib.sha256()
        self._file = self.path.open("xb")

    @property
    def sha256(self) -> str:
        """Of what has been written so far."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> None:
        """Appends bytes."""
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def append_file(self, path: Path) -> None:
        """Appends the content of a file."""
        with path.open("rb") as source:
            while block := source.read(_BLOCK):
                self.write(block)

    def place(self, target: Path) -> None:
        """Makes the content durable and moves it to its place, replacing what was there."""
        self._seal()
        _move(self.path, target)

    def facts(self, content_type: str, *, verified: bool) -> Facts:
        """Makes the content durable and gives its facts; they stay true when it moves to its place."""
        self._seal()
        now = time.time_ns()
        os.utime(self.path, ns=(now, now))  # the kernel's own stamps are too coarse to distinguish two writes
        stat = self.path.stat()
        return Facts(self.sha256, content_type, verified, stat.st_size, stat.st_mtime_ns)

    def discard(self) -> None:
        """Drops the file unless it has been placed."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _seal(self) -> None:
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()


class Folder:
    """
    `KEY` holds an object, `.facts/KEY` its facts, `.temp/` what is being written, `.parts/` multipart uploads.
    No key begins with a dot, so these never meet.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.temp = root / ".temp"
        self.parts = root / ".parts"
        self._facts = root / ".facts"

    def path(self, key: str) -> Path:
        """The path of an object."""
        return self.root / check_key(key)

    @contextmanager
    def writer(self) -> Iterator[TempWriter]:
        """A temporary file that is gone afterwards unless it was placed."""
        writer = self.open_writer()
        try:
            yield writer
        finally:
            writer.discard()

    def open_writer(self) -> TempWriter:
        """A temporary file; the caller discards it."""
        self.temp.mkdir(parents=True, exist_ok=True)
        return TempWriter(self.temp)

    def store(self, key: str, writer: TempWriter, content_type: str, *, verified: bool) -> Facts:
        """Gives written content its place. Its facts come first, so a new object never appears without them."""
        facts = writer.facts(content_type, verified=verified)
        self._record(key, facts)
        writer.place(self.path(key))
        return facts

    def facts(self, key: str) -> Facts | None:
        """The facts of an object, or None where there is none; computed where the record is outdated."""
        recorded = None
        for attempt in range(3):
            try:
                stat = self.path(key).stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            recorded = self._recorded(key)
            if recorded is None:
                return Facts("", "application/octet-stream", False, stat.st_size, stat.st_mtime_ns)
            if (recorded.size, recorded.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
                return recorded
            time.sleep(0.01 * attempt)  # in a thread: another process is just replacing the object
        return None if recorded is None else self._recompute(key, recorded)

    def accept(self, key: str, content_type: str) -> Facts:
        """Marks an upload as verified; its checksum is read from the content unless it was taken while receiving."""
        facts = self.facts(key)
        if facts is None:
            raise missing()
        if not facts.sha256:
            facts = self._recompute(key, facts)
        facts = replace(facts, content_type=content_type, verified=True)
        self._record(key, facts)
        return facts

    def delete(self, key: str) -> bool:
        """Deletes an object and the folders that become empty; returns whether it existed."""
        path, facts = self.path(key), self._facts / key
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return False
        facts.unlink(missing_ok=True)
        _prune(path.parent, self.root)
        _prune(facts.parent, self._facts)
        return True

    def keys(self, prefix: str) -> list[str]:
        """Keys under `prefix/`, in order."""
        start = self.path(prefix) if prefix else self.root
        found = []
        for folder, subfolders, names in os.walk(start):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            relative = Path(folder).relative_to(self.root)
            found += [(relative / name).as_posix() for name in names]
        return sorted(found)

    def sweep(self, max_age_s: float) -> int:
        """Deletes temporary files and multipart uploads older than this; returns how many."""
        oldest = time.time() - max_age_s
        swept = 0
        for folder in (self.temp, self.parts):
            for entry in folder.iterdir() if folder.exists() else ():
                if entry.stat().st_mtime < oldest:
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
                    swept += 1
        return swept

    def _recorded(self, key: str) -> Facts | None:
        try:
            return Facts(**json.loads((self._facts / key).read_text(encoding="utf-8")))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _record(self, key: str, facts: Facts) -> None:
        with self.writer() as writer:
            writer.write(json.dumps(asdict(facts)).encode())
            writer.place(self._facts / key)

    def _recompute(self, key: str, facts: Facts) -> Facts:
        """A restored backup or a crash between two moves leaves facts that are about another state."""
        path = self.path(key)
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                stat = os.fstat(file.fileno())
        except FileNotFoundError as error:
            raise missing() from error
        facts = replace(facts, sha256=digest, size=stat.st_size, mtime_ns=stat.st_mtime_ns)
        self._record(key, facts)
        return facts


def missing() -> NotFound:
    """The error for an object that is not there."""
    return NotFound("There is no such object.", reason="object_not_found")


def _move(source: Path, target: Path) -> None:
    for attempt in range(_COPIED_AGAIN):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.replace(target)
            break
        except FileNotFoundError:
            if attempt == _COPIED_AGAIN - 1:
                raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _prune(folder: Path, root: Path) -> None:
    while folder != root:
        try:
            folder.rmdir()
        except OSError:
            return  # not empty
        folder = folder.parent
