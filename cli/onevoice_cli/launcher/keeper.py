"""Run as `python -m onevoice_cli.launcher.keeper FOLDER`: owns PostgreSQL, and outlives the launcher to clean up.

It reads lines from the launcher on standard input: `+123` a process group was started, `-123` it is gone. When
standard input ends, because the launcher closed it or died in whatever way, the keeper ends the groups that are left,
stops PostgreSQL and exits. On standard output it writes one line of JSON when PostgreSQL is ready. Should PostgreSQL
end by itself, the keeper exits with code 3 and leaves the groups alone: the launcher starts another keeper.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from onevoice_local.postgres import EmbeddedPostgres

GRACE_S = 10.0
"""Seconds that orphaned services may take after SIGTERM."""
_POLL_S = 0.5


def main() -> None:
    """Starts PostgreSQL, follows the launcher, then undoes everything."""
    for unwanted in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # The end of standard input is the only order to stop: a stray signal must not pull the database away.
        # A function, because SIG_IGN would be inherited by PostgreSQL.
        signal.signal(unwanted, lambda *_: None)
    folder = Path(sys.argv[1])
    postgres = EmbeddedPostgres(folder)
    try:
        _answer({"url": postgres.start()})
    except Exception as error:  # noqa: BLE001 - the launcher shows the sentence, whatever it was
        _answer({"error": f"{type(error).__name__}: {error}"})
        sys.exit(1)
    groups = follow(sys.stdin.fileno(), folder / "pgdata" / "postmaster.pid")
    if groups is None:
        sys.exit(3)
    try:
        end_groups(groups, GRACE_S)
    finally:
        postgres.stop()


def _answer(answer: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def follow(orders: int, pid_file: Path) -> set[int] | None:
    """Reads orders until their end; returns the process groups still there, or None when PostgreSQL ended first."""
    groups: set[int] = set()
    rest = b""
    while True:
        if select.select([orders], [], [], _POLL_S)[0]:
            data = os.read(orders, 4096)
            if not data:
                return groups
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                (groups.add if line.startswith(b"+") else groups.discard)(int(line[1:]))
        elif not _runs(pid_file):
            return None


def _runs(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text(encoding="ascii").partition("\n")[0]), 0)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def end_groups(groups: set[int], grace_s: float) -> None:
    """SIGTERM to every group, time to end, then SIGKILL."""
    _signal(groups, signal.SIGTERM)
    until = time.monotonic() + grace_s
    while time.monotonic() < until and any(_exists(group) for group in groups):
        time.sleep(0.05)
    _signal(groups, signal.SIGKILL)


def _signal(groups: set[int], number: signal.Signals) -> None:
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):  # gone already, or its number is someone else's by now
            os.killpg(group, number)


def _exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    main()
