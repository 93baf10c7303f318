"""A PostgreSQL that comes with the Python dependencies, for one machine and for tests."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Self

from onevoice_kit.errors import Unavailable
from onevoice_local.postgres_programs import Programs


class EmbeddedPostgres:
    """
    A PostgreSQL server on one folder, reached through a Unix socket in a folder that only its user may enter.

    Several processes may start it on the same folder: the first starts the server, the others join it, and the
    last one to stop stops it. Each user holds a file lock, so a process that was killed does not count.
    A server left running by a killed process is joined by the next start. At normal exit and at SIGTERM
    (unless the program handles that itself) `stop` is called.
    """

    def __init__(
        self, data_dir: Path, *, options: Mapping[str, str] | None = None, start_timeout_s: float = 120
    ) -> None:
        """
        `data_dir` is made where missing. `options` are settings of postgresql.conf, applied when the folder is
        first made (tests turn fsync off).
        """
        self._folder = data_dir.expanduser().resolve()
        self._options = dict(options or {})
        self._start_timeout_s = start_timeout_s
        self._server: Programs | None = None
        self._in_use: int | None = None

    @property
    def url(self) -> str:
        """Address of the database `postgres`; `Unavailable` before `start`."""
        if self._server is None:
            raise Unavailable("The embedded database has not been started.", reason="database_not_started")
        return self._server.url

    def start(self) -> str:
        """Starts or joins the server; returns its address. Blocks for about a second, longer after a crash."""
        if self._server is not None:
            return self.url
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._turn():
            self._in_use = self._open("users.lock")
            fcntl.flock(self._in_use, fcntl.LOCK_SH)
            try:
                self._server = self._started()
            except BaseException:
                self._let_go()
                raise
        atexit.register(self.stop)
        _exit_on_sigterm()
        return self.url

    def stop(self) -> None:
        """Stops the server unless another process still uses it. A second call is fine."""
        if self._server is None:
            return
        with self._turn():
            if self._is_last_user():
                self._server.stop()
            self._server = None
            self._let_go()
        atexit.unregister(self.stop)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _started(self) -> Programs:
        programs = Programs(self._folder / "pgdata")
        programs.initialize(self._options)
        programs.start(self._start_timeout_s)
        return programs

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """One process at a time starts or stops."""
        lock = self._open("turn.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _open(self, name: str) -> int:
        return os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _is_last_user(self) -> bool:
        if self._in_use is None:
            return False
        try:
            fcntl.flock(self._in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _let_go(self) -> None:
        if self._in_use is not None:
            os.close(self._in_use)
            self._in_use = None


def _exit_on_sigterm() -> None:
    """By default SIGTERM ends Python without its exit functions, which would leave the server behind."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _exit)


def _exit(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
