"""No part of the platform forks a process that has threads: programs are started by `vfork` or `posix_spawn`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.forks import CASES

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not under pytest's own folders: the database server runs as another user, and they are closed to it."""
    path = Path(tempfile.mkdtemp(prefix="onevoice-forks-"))
    yield path
    shutil.rmtree(path)


def _forks(case: str, folder: Path) -> int:
    command = [sys.executable, "-m", "tests.support.forks", case, str(folder)]
    return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True).stdout)


def test_a_fork_is_counted(folder: Path) -> None:
    assert _forks("fork", folder) == 1


@pytest.mark.parametrize("case", [case for case in CASES if case != "fork"])
def test_starting_a_program_forks_nothing(case: str, folder: Path) -> None:
    assert _forks(case, folder) == 0
