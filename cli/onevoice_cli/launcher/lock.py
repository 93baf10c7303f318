"""One launcher per data folder."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from onevoice_kit.errors import Conflict


class DataLock:
    """
    Holds `DIR/lock` for as long as the launcher, or the keeper that cleans up after it, lives.

    The lock is on the open file, so it cannot go stale: the system drops it with the last process that holds it.
    """

    def __init__(self, data: Path, *, wait_s: float = 20.0) -> None:
        self._path = data / "lock"
        self._data = data
        self._wait_s = wait_s
        self._descriptor = -1

    @property
    def descriptor(self) -> int:
        """For the keeper to inherit."""
        return self._descriptor

    def __enter__(self) -> DataLock:
        self._descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            self._take()
        except BaseException:
            os.close(self._descriptor)
            raise
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def _take(self) -> None:
        """Refuses at once while another launcher lives; waits while only its keeper is left, which is cleaning up."""
        until = time.monotonic() + self._wait_s
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                owner = self._owner()
                if _alive(owner) or time.monotonic() > until:
                    raise self._refusal(owner) from None
                time.sleep(0.1)

    def _owner(self) -> int:
        text = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
        return int(text) if text.isdigit() else 0

    def _refusal(self, owner: int) -> Conflict:
        who = f" (process {owner})" if owner else ""
        return Conflict(f"Another `onevoice up`{who} already runs on {self._data}.", reason="already_running")


def _alive(pid: int) -> bool:
    if pid <= 0:
        return True  # The owner is just writing its number.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[:1] == ["Z"]
