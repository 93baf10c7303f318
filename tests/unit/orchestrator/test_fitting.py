"""Fitting: the dubbing rules on where lines go and how fast they are spoken."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median

import pytest

from services.orchestrator.policy.fitting import (
    GAP_MS,
    HARD_MAX_SPEED,
    LATE,
    MAX_EARLY_MS,
    MAX_SPEED,
    MIN_MEDIAN_SPEED,
    MIN_SPEED,
    OVERRUN,
    SMALLEST_STRETCH,
    TOO_FAST,
)
from services.orchestrator.policy.fitting import fit as fit_or_leave_out
from services.orchestrator.policy.line import SILENCE, Line, Placement
from tests.support.lines import spoken


def fit(lines: Sequence[Line], duration_ms: int) -> list[Placement]:
    """The placements of lines that all have room."""
    placements = fit_or_leave_out(lines, duration_ms)
    assert None not in placements
    return [placement for placement in placements if placement]


def test_a_line_that_fits_starts_at_its_onset_at_natural_speed() -> None:
    assert fit([spoken(1000, 3000, 2000)], 10_000) == [Placement(1000, 3000, 1.0, 9000, 0, ())]


def test_a_line_borrows_the_silence_after_it_but_keeps_a_gap() -> None:
    first, second = fit([spoken(0, 1000, 1950), spoken(2000, 3000, 1000)], 10_000)
    assert (first.start_ms, first.end_ms, first.speed) == (0, 2000 - GAP_MS, 1.0)
    assert second.onset_error_ms == 0


def test_a_line_too_long_is_spoken_faster_before_it_starts_early() -> None:
    _, line, _ = fit([spoken(0, 100, 100), spoken(1000, 2000, 1045), spoken(2000, 3000, 10)], 10_000)
    assert line.onset_error_ms == 0
    assert line.speed == pytest.approx(1.1, abs=0.001)


def test_a_line_starts_early_before_it_is_spoken_fastest() -> None:
    _, line, _ = fit([spoken(0, 100, 100), spoken(1000, 2000, 1200), spoken(2000, 3000, 10)], 10_000)
    assert -MAX_EARLY_MS <= line.onset_error_ms < 0
    assert line.speed == pytest.approx(1.1, abs=0.01)
    assert not line.flags


def test_what_cannot_fit_runs_over_and_the_next_line_waits() -> None:
    first, second = fit([spoken(0, 1000, 3000), spoken(1000, 2000, 500)], 10_000)
    assert first.speed == MAX_SPEED
    assert first.flags == (OVERRUN,)
    assert second.start_ms == first.end_ms + GAP_MS
    assert LATE in second.flags


def test_the_last_line_moves_earlier_to_end_with_the_source() -> None:
    (line,) = fit([spoken(9000, 9900, 2000)], 10_000)
    assert line.end_ms <= 10_000
    assert line.speed <= MAX_SPEED


def test_only_a_dub_longer_than_its_source_is_spoken_faster_than_allowed() -> None:
    placements = fit([spoken(i * 1000, i * 1000 + 900, 1500) for i in range(10)], 10_000)
    assert placements[-1].end_ms <= 10_000
    assert all(TOO_FAST in p.flags for p in placements if p.speed > MAX_SPEED)
    assert any(TOO_FAST in p.flags for p in placements)


def test_a_line_shorter_than_the_original_is_spoken_slower_until_it_is_as_long() -> None:
    placements = fit([spoken(0, 1000, 950), spoken(2000, 3000, 1000), spoken(4000, 5000, 1000)], 10_000)
    assert placements[0].end_ms == 1000
    assert placements[0].speed == 0.95


def test_a_line_is_never_spoken_slower_than_the_rules_allow() -> None:
    placements = fit([spoken(0, 1000, 500), spoken(2000, 3000, 1000), spoken(4000, 5000, 1000)], 10_000)
    assert placements[0].speed == MIN_SPEED
    assert placements[0].end_ms == 556


def test_where_every_line_is_short_the_dub_keeps_near_the_voice_s_own_pace() -> None:
    placements = fit([spoken(at, at + 1000, 500) for at in range(0, 5000, 1000)], 10_000)
    assert median(placement.speed for placement in placements) == MIN_MEDIAN_SPEED


def test_a_slowed_line_leaves_the_gap_before_a_line_that_begins_during_the_original() -> None:
    first, second, _ = fit([spoken(0, 2000, 1000), spoken(1050, 3000, 1950), spoken(5000, 6000, 1000)], 10_000)
    assert (first.end_ms, first.speed) == (1000, 1.0)
    assert second.start_ms == 1050


@pytest.mark.parametrize(("room", "speed"), [(2000, 1.0), (1999, 1.005), (1991, 1.005), (1990, 1.0051)])
def test_a_line_is_not_stretched_by_less_than_can_be_heard_unless_it_must_end(room: int, speed: float) -> None:
    (line,) = fit([spoken(0, room, 2000)], room)
    assert line.speed == speed
    assert line.end_ms <= room


def test_a_line_hardly_longer_than_its_slot_keeps_its_speed_and_the_next_waits_for_it() -> None:
    first, second = fit([spoken(150, 2150, 2005), spoken(2200, 3000, 800)], 10_000)
    assert first.speed == 1.0
    assert not first.flags
    assert second.start_ms == first.end_ms + GAP_MS


def test_what_does_not_fit_even_at_the_hardest_speed_is_left_out_and_nothing_overlaps() -> None:
    lines = [spoken(0, 900, 3000), spoken(1000, 1900, 2500), spoken(2000, 2900, 1000)]
    placements = fit_or_leave_out(lines, 3_000)
    assert placements[0] is None
    kept = [placement for placement in placements if placement]
    assert len(kept) == 2
    assert all(placement.speed <= HARD_MAX_SPEED for placement in kept)
    assert kept[0].end_ms + GAP_MS <= kept[1].start_ms
    assert kept[1].end_ms <= 3_000


def test_a_line_without_speech_gets_no_place_and_takes_no_room_from_the_others() -> None:
    silent = replace(spoken(1000, 2000, 0), speech=SILENCE)
    placements = fit_or_leave_out([spoken(0, 1000, 1950), silent, spoken(2000, 3000, 500)], 10_000)
    assert placements[1] is None
    assert placements[0] == Placement(0, 1950, 1.0, 1950, 0, ())


@pytest.mark.parametrize("seed", range(200))
def test_the_rules_hold_whatever_the_lines(seed: int) -> None:
    rng = random.Random(seed)
    lines, at = [], rng.randint(0, 2000)
    for _ in range(rng.randint(1, 40)):
        length = rng.randint(200, 6000)
        lines.append(spoken(at, at + length, max(50, int(length * rng.uniform(0.4, 1.5)))))
        at += length + rng.choice([0, 50, 200, 1000, 4000])
    duration = at + rng.randint(0, 500)
    placements = fit(lines, duration)
    assert len(placements) == len(lines)
    for line, placed in zip(lines, placements, strict=True):
        fits = OVERRUN in placed.flags or TOO_FAST in placed.flags or placed.speed <= MAX_SPEED
        assert fits
        assert placed.speed >= MIN_SPEED
        assert placed.speed == 1.0 or abs(placed.speed - 1.0) >= SMALLEST_STRETCH - 1e-9
        if placed.speed < 1.0:
            assert placed.end_ms <= line.source.end_ms, "a slowed line ends with the original at the latest"
        assert abs((placed.end_ms - placed.start_ms) - line.natural_ms / placed.speed) <= 2, "nothing is cut"
        assert placed.start_ms >= 0
        assert placed.end_ms <= duration
        assert placed.onset_error_ms >= -MAX_EARLY_MS or "early" in placed.flags
        assert placed.onset_error_ms <= MAX_EARLY_MS or "late" in placed.flags
    for first, second in pairwise(placements):
        assert second.start_ms - first.end_ms >= GAP_MS
