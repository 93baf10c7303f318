"""The keeper's orders, without its PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from onevoice_cli.launcher.keeper import end_groups, follow


def test_orders_tell_which_groups_are_left(tmp_path):
    (tmp_path / "postmaster.pid").write_text(f"{os.getpid()}\n")
    reader, writer = os.pipe()
    os.write(writer, b"+11\n+12\n-1")
    os.write(writer, b"1\n+13\n")
    os.close(writer)
    assert follow(reader, tmp_path / "postmaster.pid") == {12, 13}
    os.close(reader)


def test_the_end_of_postgresql_is_seen_while_the_launcher_lives(tmp_path):
    reader, writer = os.pipe()
    assert follow(reader, tmp_path / "postmaster.pid") is None
    os.close(writer)
    os.close(reader)


def test_groups_that_do_not_listen_are_killed():
    stubborn = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal, sys; signal.signal(15, signal.SIG_IGN); print('up', flush=True); sys.stdin.read()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert stubborn.stdout is not None
    stubborn.stdout.readline()
    end_groups({stubborn.pid}, grace_s=0.2)
    assert stubborn.wait() == -signal.SIGKILL


def test_groups_that_are_gone_do_no_harm():
    gone = subprocess.Popen(["true"], start_new_session=True)
    gone.wait()
    end_groups({gone.pid}, grace_s=5)
    assert gone.returncode == 0
