"""Two hundred worlds: every job ends once, rightly paid, with the results of an undisturbed run."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.run import simulate

SEEDS, BATCH = 200, 20
FAULTS = ("KILL", "PAUSE", "STOP", "DOWN", "cancel", "too late")


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_whatever_dies_every_job_ends_once_and_as_it_should(first: int) -> None:
    """A failing seed is named in the error, with the end of its trace and the command that replays it."""
    counts, statuses = Counter[str](), Counter[str]()
    for seed in range(first, first + BATCH):
        result = simulate(seed)
        counts += result.counts
        statuses += result.statuses
    assert all(counts[fault] for fault in FAULTS), f"nothing was disturbed: {counts}"
    assert set(statuses) == {"completed", "failed", "cancelled"}
