"""Logs, lock, secrets and ports of the launcher."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from onevoice_cli.launcher import logs
from onevoice_cli.launcher.folder import DataLock, load_secrets
from onevoice_cli.launcher.services import check_port, free_ports
from onevoice_kit.errors import Conflict, InvalidInput


def test_the_logs_of_three_runs_are_kept(tmp_path):
    log = tmp_path / "tts.log"
    for run in range(5):
        logs.rotate(log)
        log.write_text(f"run {run}")
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {"tts.log": "run 4", "tts.log.1": "run 3", "tts.log.2": "run 2", "tts.log.3": "run 1"}


def test_an_outgrown_log_is_emptied_in_place_and_its_text_kept(tmp_path):
    log = tmp_path / "tts.log"
    descriptor = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(descriptor, b"x" * 100)
    assert logs.shrink(log, max_bytes=99)
    os.write(descriptor, b"after")
    os.close(descriptor)
    assert log.read_text() == "after"
    assert (tmp_path / "tts.log.1").read_text() == "x" * 100
    assert not logs.shrink(log, max_bytes=99)


def test_the_end_of_a_log_is_readable(tmp_path):
    log = tmp_path / "tts.log"
    log.write_text('old\n{"level": "error", "message": "no model", "exception": "Trace\\nKeyError: 1"}\nplain\n')
    assert logs.tail(log, 2) == ["error no model (KeyError: 1)", "plain"]
    assert logs.tail(tmp_path / "none.log") == []


def test_a_second_launcher_is_refused_while_the_first_lives(tmp_path):
    with (
        DataLock(tmp_path),
        pytest.raises(Conflict, match=f"process {os.getpid()}.*already runs"),
        DataLock(tmp_path, wait_s=0),
    ):
        pass


def test_the_lock_is_free_once_its_holder_is_gone(tmp_path):
    with DataLock(tmp_path):
        pass
    with DataLock(tmp_path, wait_s=0) as lock:
        assert lock.descriptor >= 0


def test_a_next_launcher_waits_for_the_keeper_of_one_that_was_killed(tmp_path):
    with DataLock(tmp_path) as lock:
        # A process that holds the lock, as the keeper does, until its input ends; the launcher's number is a dead one.
        keeper = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=(lock.descriptor,)
        )
    dead = subprocess.Popen(["true"])
    dead.wait()
    (tmp_path / "lock").write_text(f"{dead.pid}\n")
    with pytest.raises(Conflict), DataLock(tmp_path, wait_s=0):
        pass
    keeper.communicate()
    with DataLock(tmp_path, wait_s=10) as lock:
        assert lock.descriptor >= 0


def test_secrets_are_made_once_and_private(tmp_path):
    first = load_secrets(tmp_path)
    assert len(first["storage_signing_key"]) == 64
    assert load_secrets(tmp_path) == first
    assert (tmp_path / "secrets.toml").stat().st_mode & 0o777 == 0o600


def test_free_ports_are_different():
    assert len(set(free_ports(20))) == 20


def test_a_port_in_use_is_named_with_the_way_out():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(Conflict, match=f"Port {port}.*--port"):
            check_port("127.0.0.1", port)


def test_port_zero_takes_a_free_one():
    assert check_port("127.0.0.1", 0) > 0


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid"])
def test_a_host_that_is_not_this_machine_is_refused(host):
    with pytest.raises(InvalidInput, match="not an address of this machine"):
        check_port(host, 0)
