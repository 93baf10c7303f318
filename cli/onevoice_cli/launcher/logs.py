"""Log files of child processes: bounded, kept for a few runs, and readable in a message."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

KEEP_RUNS = 3
"""Older runs kept beside the present log, as `.1` (newest) to `.3`."""
MAX_BYTES = 20 << 20
"""A log that outgrows this while its process runs is moved to `.1` and begun again."""
_TAIL_BYTES = 64 << 10


def rotate(path: Path, keep: int = KEEP_RUNS) -> None:
    """Moves the log of the last run out of the way; an empty or missing one is left alone."""
    if not path.exists() or path.stat().st_size == 0:
        return
    for number in range(keep, 0, -1):
        older = path if number == 1 else _numbered(path, number - 1)
        if older.exists():
            older.replace(_numbered(path, number))


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def shrink(path: Path, max_bytes: int = MAX_BYTES) -> bool:
    """Copies an outgrown log to `.1` and empties it in place (its process appends). True if it did."""
    if not path.exists() or path.stat().st_size <= max_bytes:
        return False
    shutil.copyfile(path, _numbered(path, 1))
    os.truncate(path, 0)
    return True


def tail(path: Path, lines: int = 5) -> list[str]:
    """The last lines, JSON records reduced to their level and message, at most 400 characters each."""
    try:
        with path.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - _TAIL_BYTES))
            text = stream.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    return [_readable(line)[:400] for line in text.splitlines() if line.strip()][-lines:]


def _readable(line: str) -> str:
    try:
        record = json.loads(line)
    except ValueError:
        return line
    if not isinstance(record, dict):
        return line
    message = record.get("message") or record.get("msg") or record.get("event") or line
    cause = _last_line(record.get("exception") or record.get("exc_info") or "")
    return f"{record.get('level', '')} {message} {cause}".strip()


def _last_line(trace: object) -> str:
    lines = str(trace).strip().splitlines()
    return f"({lines[-1].strip()})" if lines else ""
