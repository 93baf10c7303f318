"""Copies the tree, puts one defect in and runs the tests that must notice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .mutation import Mutation
from .watch import FILE, RESULT

ROOT = Path(__file__).resolve().parents[2]
_PARTS = ("bench", "cli", "gen", "libs", "services", "tests", "pyproject.toml")
_TIME_LIMIT_S = 180.0
_UNBROKEN_LIMIT_S = 1_800.0
"""All tests of the catalogue, one after another."""
_TEST_LIMIT_S = 60
"""A defect may make a test wait for ever; a test that exceeds this limit has noticed it too."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of the tests of a tree."""

    failed: frozenset[str]
    passed: frozenset[str]
    imported: bool
    """True where the mutated file was the one that was imported."""
    output: str

    def survivors(self, tests: Sequence[str]) -> list[str]:
        """Those of the tests of which no case failed."""
        return [test for test in tests if not any(_is_case(node, test) for node in self.failed)]


class NoResult(Exception):
    """The tests of a mutation did not end, or could not be collected."""


def _is_case(node: str, test: str) -> bool:
    return node == test or node.startswith(f"{test}[")


@contextmanager
def copied_tree() -> Iterator[Path]:
    """A copy of the code and its tests, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="onevoice-mutation-") as name:
        root = Path(name).resolve()
        for part in _PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, root / part, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
            else:
                shutil.copy(source, root / part)
        yield root


def run_tests(root: Path, tests: Sequence[str], file: str, limit_s: float | None = None) -> Outcome:
    """Runs tests of the tree at `root`, whose own code they import whatever else is installed. Raises `NoResult`."""
    limit_s = _TIME_LIMIT_S if limit_s is None else limit_s
    result = root / "result.json"
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "-p", "tests.mutations.watch"]
    command += [f"--timeout={_TEST_LIMIT_S}", *tests]
    path = os.pathsep.join(str(root / part) for part in ("", "libs", "gen", "cli"))
    # This may run inside of pytest, whose own settings are not for the tests of the copy.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "ONEVOICE_TEST_"))}
    environment |= {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", FILE: str(root / file), RESULT: str(result)}
    output = _output(command, root, environment, limit_s)
    if not result.exists():
        raise NoResult(f"The tests gave no result within {limit_s:.0f} s.\n{output[-2000:]}")
    seen = json.loads(result.read_text(encoding="utf-8"))
    return Outcome(frozenset(seen["failed"]), frozenset(seen["passed"]), seen["imported"], output)


def _output(command: Sequence[str], root: Path, environment: Mapping[str, str], limit_s: float) -> str:
    """Runs a command and returns its output, kept in a file: programs that are left behind would hold a pipe open."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process = subprocess.Popen(
            command, cwd=root, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        with suppress(subprocess.TimeoutExpired):
            process.wait(limit_s)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        output.seek(0)
        return output.read()


def check(mutation: Mutation) -> list[str]:
    """Lists the faults of a mutation's tests; empty where each of them notices the mutation."""
    with copied_tree() as root:
        mutation.apply(root)
        try:
            outcome = run_tests(root, mutation.tests, mutation.file)
        except NoResult as error:
            return [f"{mutation.name}: {error}"]
    if not outcome.imported:
        return [f"{mutation.name}: the tests did not import {mutation.file} of the copy\n{outcome.output[-1500:]}"]
    return [f"{mutation.name}: not noticed by {test}" for test in outcome.survivors(mutation.tests)]


def check_unbroken(mutations: Sequence[Mutation]) -> list[str]:
    """Lists the tests that fail although nothing is broken; such a test shows nothing about a mutation."""
    tests = sorted({test for mutation in mutations for test in mutation.tests})
    with copied_tree() as root:
        outcome = run_tests(root, tests, mutations[0].file, _UNBROKEN_LIMIT_S)
    missing = [test for test in tests if not any(_is_case(node, test) for node in outcome.passed)]
    return [f"fails unbroken: {test}" for test in sorted({*outcome.failed, *missing})]
