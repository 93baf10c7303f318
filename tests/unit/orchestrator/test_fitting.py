"""Fitting: the dubbing rules on where lines go and how fast they are spoken."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from services.orchestrator.policy.fitting import (
    GAP_MS,
    LATE,
    MAX_EARLY_MS,
    MAX_SPEED,
    OVERRUN,
    TOO_FAST,
    Line,
    Placement,
    fit,
)


def test_a_line_that_fits_starts_at_its_onset_at_natural_speed() -> None:
    assert fit([Line(1000, 3000, 1800)], 10_000) == [Placement(1000, 2800, 1.0, 9000, 0, ())]


def test_a_line_borrows_the_silence_after_it_but_keeps_a_gap() -> None:
    first, second = fit([Line(0, 1000, 1950), Line(2000, 3000, 500)], 10_000)
    assert (first.start_ms, first.end_ms, first.speed) == (0, 2000 - GAP_MS, 1.0)
    assert second.onset_error_ms == 0


def test_a_line_too_long_is_spoken_faster_before_it_starts_early() -> None:
    _, line, _ = fit([Line(0, 100, 100), Line(1000, 2000, 1045), Line(2000, 3000, 10)], 10_000)
    assert line.onset_error_ms == 0
    assert line.speed == pytest.approx(1.1, abs=0.001)


def test_a_line_starts_early_before_it_is_spoken_fastest() -> None:
    _, line, _ = fit([Line(0, 100, 100), Line(1000, 2000, 1200), Line(2000, 3000, 10)], 10_000)
    assert -MAX_EARLY_MS <= line.onset_error_ms < 0
    assert line.speed == pytest.approx(1.1, abs=0.01)
    assert not line.flags


def test_what_cannot_fit_runs_over_and_the_next_line_waits() -> None:
    first, second = fit([Line(0, 1000, 3000), Line(1000, 2000, 500)], 10_000)
    assert first.speed == MAX_SPEED
    assert first.flags == (OVERRUN,)
    assert second.start_ms == first.end_ms + GAP_MS
    assert LATE in second.flags


def test_the_last_line_moves_earlier_to_end_with_the_source() -> None:
    (line,) = fit([Line(9000, 9900, 2000)], 10_000)
    assert line.end_ms <= 10_000
    assert line.speed <= MAX_SPEED


def test_only_a_dub_longer_than_its_source_is_spoken_faster_than_allowed() -> None:
    placements = fit([Line(i * 1000, i * 1000 + 900, 1500) for i in range(10)], 10_000)
    assert placements[-1].end_ms <= 10_000
    assert all(TOO_FAST in p.flags for p in placements if p.speed > MAX_SPEED)
    assert any(TOO_FAST in p.flags for p in placements)


@pytest.mark.parametrize("seed", range(200))
def test_the_rules_hold_whatever_the_lines(seed: int) -> None:
    rng = random.Random(seed)
    lines, at = [], rng.randint(0, 2000)
    for _ in range(rng.randint(1, 40)):
        length = rng.randint(200, 6000)
        lines.append(Line(at, at + length, max(50, int(length * rng.uniform(0.4, 1.5)))))
        at += length + rng.choice([0, 50, 200, 1000, 4000])
    duration = at + rng.randint(0, 500)
    placements = fit(lines, duration)
    assert len(placements) == len(lines)
    for line, placed in zip(lines, placements, strict=True):
        fits = OVERRUN in placed.flags or TOO_FAST in placed.flags or placed.speed <= MAX_SPEED
        assert fits
        assert placed.speed >= 0.9
        assert abs((placed.end_ms - placed.start_ms) - line.natural_ms / placed.speed) <= 2, "nothing is cut"
        assert placed.start_ms >= 0
        assert placed.end_ms <= duration
        assert placed.onset_error_ms >= -MAX_EARLY_MS or "early" in placed.flags
        assert placed.onset_error_ms <= MAX_EARLY_MS or "late" in placed.flags
    for first, second in pairwise(placements):
        assert second.start_ms - first.end_ms >= GAP_MS
