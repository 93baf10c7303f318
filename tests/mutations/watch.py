"""A pytest plugin that writes down which tests failed, and whether the file in question was imported from this tree."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

FILE, RESULT = "MUTATION_FILE", "MUTATION_RESULT"
"""Environment variables: the mutated file, and where to write."""

_failed: list[str] = []
_passed: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Failures in a fixture count too: also so a defect is noticed."""
    if report.failed:
        _failed.append(report.nodeid)
    elif report.when == "call" and report.passed:
        _passed.append(report.nodeid)


def pytest_sessionfinish() -> None:
    """Writes the result for the runner."""
    mutated = Path(os.environ[FILE]).resolve()
    loaded = {Path(file).resolve() for module in list(sys.modules.values()) if (file := _file_of(module))}
    result = {"imported": mutated in loaded, "failed": _failed, "passed": _passed}
    Path(os.environ[RESULT]).write_text(json.dumps(result), encoding="utf-8")


def _file_of(module: object) -> str | None:
    return getattr(module, "__file__", None)
