"""The data folder of a launcher: made, locked for one launcher, and its secrets."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from onevoice_cli.files import read_toml, to_toml, write_private
from onevoice_kit.errors import Conflict, PreconditionFailed

_SECRETS = ("storage_signing_key", "grpc_shared_secrets")
"""Kept in `DIR/secrets.toml`."""


def prepare(data: Path) -> Path:
    """Makes the folder and what lies in it; `PreconditionFailed` where it cannot be written."""
    data = data.expanduser().absolute()
    try:
        data.mkdir(parents=True, exist_ok=True)
        for private in ("logs", "objects"):
            (data / private).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise PreconditionFailed(
            f"The data folder {data} cannot be used: {error.strerror}.", reason="data_folder_unusable"
        ) from None
    return data


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


def load_secrets(data: Path) -> Mapping[str, str]:
    """Every name of `_SECRETS` with 256 random bits in hexadecimal, made where the folder lacks it."""
    path = data / "secrets.toml"
    known = read_toml(path)
    missing = [name for name in _SECRETS if not known.get(name)]
    if missing:
        known |= {name: secrets.token_hex(32) for name in missing}
        write_private(path, to_toml(known))
    return known
