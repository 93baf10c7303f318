"""The embedded server keeps its data, is shared by processes, and never stays behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from onevoice_kit.db.engine import asyncpg_dsn
from onevoice_kit.embedded_postgres import EmbeddedPostgres
from onevoice_kit.errors import Unavailable
from onevoice_kit.testing.waiting import eventually

PROGRAM = """
import sys, signal
from pathlib import Path
from onevoice_kit.embedded_postgres import EmbeddedPostgres
EmbeddedPostgres(Path(sys.argv[1])).start()
print("started", flush=True)
signal.pause()
"""


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
    # As after a power cut: the number in the file belongs to somebody else by now.
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
