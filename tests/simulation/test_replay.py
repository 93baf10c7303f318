"""A seed decides everything: the same seed gives the same trace, in this process and in any other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.run import Failed, simulate
from tests.simulation.stages import _Billing

SEEDS = range(12)
_ROOT = Path(__file__).parents[2]


def digests_elsewhere(hash_seed: str) -> dict[int, str]:
    """The digests of the seeds' traces in another process, where sets have another order."""
    paths = [str(_ROOT / folder) for folder in ("", "libs", "gen", "cli")]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", "tests.simulation", "--digest", "--seeds", str(len(SEEDS))]
    done = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=True)
    return {int(seed): digest for seed, digest in (line.split() for line in done.stdout.splitlines())}


def digests_here() -> dict[int, str]:
    return {seed: simulate(seed).digest for seed in SEEDS}


def test_a_seed_gives_the_same_trace_here_and_elsewhere() -> None:
    here = digests_here()
    assert digests_here() == here
    assert digests_elsewhere("1") == here
    assert digests_elsewhere("4711") == here
    assert len(set(here.values())) == len(here)


def test_a_failing_seed_reports_its_number_and_the_command_that_repeats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def overcharge(self: _Billing, duration_ms: int, languages: int) -> int:
        return 1

    monkeypatch.setattr(_Billing, "price", overcharge)
    failures = []
    for _ in range(2):
        with pytest.raises(Failed) as failed:
            digests_here()
        failures.append(failed.value)
    first, again = failures
    assert f"python -m tests.simulation --seed {first.seed}" in str(first)
    assert (first.seed, first.lines) == (again.seed, again.lines)
