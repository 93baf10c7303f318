"""Memory of a process with all that it starts, at its highest."""

from __future__ import annotations

import threading
from pathlib import Path


class MemoryWatch:
    """Samples the memory of a process and its descendants five times a second."""

    def __init__(self, pid: int) -> None:
        """Starts to watch."""
        self._pid = pid
        self._peak_kb = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """Megabytes at the highest."""
        self._done.set()
        self._thread.join()
        return self._peak_kb / 1024

    def _watch(self) -> None:
        while not self._done.wait(0.2):
            self._peak_kb = max(self._peak_kb, sum(_memory_kb(pid) for pid in _family(self._pid)))


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task").glob("*/children")
        found = [int(child) for path in children for child in path.read_text().split()]
        # A child that is not yet another program still shares its parent's memory, which would be counted twice.
        found = [child for child in found if _program(child) != _program(pid)]
    except OSError:
        return [pid]
    return [pid, *(one for child in found for one in _family(child))]


def _program(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _memory_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
