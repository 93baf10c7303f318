"""The report's figures: the plan from the plan, all else from the finished file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.orchestrator.policy.captions import Cue, Spoken, conformance, from_srt, make_cues, to_srt
from services.orchestrator.policy.fitting import OVERRUN
from services.orchestrator.policy.line import NO_ROOM, SILENCE, Line, Measured, Placement
from services.orchestrator.policy.quality import (
    Sound,
    coverage,
    measured,
    measured_flags,
    overlap_ms,
    percentile,
    planned,
    report_line,
    unheard,
)
from tests.support.lines import placement, spoken

SOUND = Sound(-20.123, source_loudness_lufs=-20, true_peak_dbtp=-1.5, length_delta_ms=0, residue_db=-18.004)


def found(onset_ms: int, **changes: Any) -> Measured:
    """A line that is in the file as it was mixed, for 700 ms."""
    perfect = Measured(True, onset_ms, onset_ms + 700, 0, 0, 0, correlation=0.95, level_db=-0.1)
    return replace(perfect, **changes)


LOST = Measured(False, 0, 0, 0, 0, 0, 0.0, 0.0)


def line(
    index: int,
    placed: Placement | None,
    heard: Measured | None = None,
    *,
    end_ms: int = 0,
    speaker: str = "speaker_1",
) -> Line:
    """A line whose original starts at a whole second and lasts 800 ms, or until `end_ms`."""
    start = index * 1000
    source = spoken(start, end_ms or start + 800, 700, speaker=speaker)
    return replace(source, placement=placed, measured=heard)


def at(index: int, heard: Measured | None) -> Line:
    """A line that is planned to start with its original."""
    return line(index, placement(index * 1000, index * 1000 + 700, index * 1000), heard)


def test_the_plan_s_figures_of_a_clean_dub() -> None:
    figures = planned([line(0, placement(0, 700, 0)), line(1, placement(1100, 1800, 1000, speed=1.2))])
    assert (figures.budget_fit, figures.silent, figures.overlap_ms) == (1.0, 0, 0)
    assert (figures.speed_p50, figures.speed_p95, figures.speed_max) == (1.0, 1.2, 1.2)
    assert figures.onset_error_p95_ms == 100


def test_the_plan_s_figures_show_overruns_overlap_and_silence() -> None:
    overrun, silent = placement(0, 1200, 0, flags=(OVERRUN,)), line(5, None, end_ms=6600)
    figures = planned([line(0, overrun), line(1, placement(1000, 1800, 1000)), silent])
    assert silent.flags == (NO_ROOM,)
    assert (figures.overruns, figures.budget_fit, figures.overlap_ms, figures.silent) == (1, 0.3333, 200, 1)


def test_speakers_may_talk_at_the_same_time_but_not_with_themselves() -> None:
    both = [line(0, placement(0, 1200, 0)), line(1, placement(1000, 1800, 1000), speaker="speaker_2")]
    assert planned(both).overlap_ms == 0


def test_the_file_s_figures_come_from_the_file_and_not_from_the_plan() -> None:
    lines = [at(0, found(30)), at(1, found(1480, shift_ms=400)), at(5, LOST), at(7, found(7000, cut_ms=300))]
    figures = measured(lines, [(0, 800), (1000, 1800), (5000, 5800), (7000, 7800)], SOUND)
    assert (figures.dropped, figures.coverage, figures.cut) == (1, 0.75, 1)
    assert (figures.onset_error_p95_ms, figures.shift_max_ms) == (480, 400)
    assert (figures.loudness_lufs, figures.residue_db) == (-20.12, -18.0)


def test_overlap_in_the_file_counts_for_any_speaker() -> None:
    figures = measured([at(0, found(0)), at(1, found(500))], [(0, 800)], SOUND)
    assert figures.overlap_ms == 200


def test_a_language_of_silent_lines_alone_is_not_covered() -> None:
    silent = replace(line(0, None), speech=SILENCE)
    figures = measured([silent], [(0, 1000)], SOUND)
    assert (figures.coverage, figures.dropped, figures.onset_error_p95_ms, figures.shift_max_ms) == (0.0, 1, 0, 0)
    assert planned([silent]).speed_max == 0.0


@pytest.mark.parametrize(
    ("heard", "flags"),
    [
        (found(0), ()),
        (LOST, ("missing",)),
        (found(400, shift_ms=400), ("late",)),
        (found(0, shift_ms=-90), ("early",)),
        (found(0, overlap_ms=250), ("overlap",)),
        (found(200, cut_ms=200), ("cut",)),
        (found(0, level_db=-9.0), ("quiet",)),
        (found(0, shift_ms=400, overlap_ms=250), ("late", "overlap")),
        (found(0, shift_ms=30, overlap_ms=40, cut_ms=50, level_db=-3.0), ()),
    ],
)
def test_differences_between_plan_and_file_are_flags(heard: Measured, flags: tuple[str, ...]) -> None:
    assert measured_flags(at(0, heard)) == flags


def test_a_line_of_the_report_shows_plan_and_measurement_apart() -> None:
    row = report_line(4, at(2, found(2150, shift_ms=100)))
    assert (row["planned"]["start_ms"], row["planned"]["onset_error_ms"]) == (2000, 0)
    assert (row["measured"]["onset_ms"], row["measured"]["onset_error_ms"]) == (2150, 150)
    assert row["measured"]["flags"] == ("late",)
    silent = report_line(5, line(3, None))
    assert silent["similarity"] is None
    assert (silent["planned"], silent["measured"]) == (None, None)
    assert report_line(6, at(3, LOST))["measured"]["onset_error_ms"] is None


def test_detected_speech_without_a_line_is_listed_with_its_times() -> None:
    regions = [(0, 800), (1000, 4000), (6000, 7500)]
    assert unheard(regions, [at(0, None), at(1, None)]) == [(1800, 4000), (6000, 7500)]


def test_margins_of_detection_and_breaths_are_not_unheard_and_cost_no_coverage() -> None:
    regions = [(0, 1000), (1100, 1900)]
    lines = [at(0, found(0)), at(1, found(1000))]
    assert unheard(regions, lines) == []
    assert coverage(regions, lines) == 1.0


def test_speech_that_was_not_recognised_is_not_covered() -> None:
    assert coverage([(0, 800), (5000, 5800)], [at(0, found(0))]) == 0.5


def test_spans_that_hold_each_other_overlap_once() -> None:
    assert overlap_ms([(0, 1000), (200, 400), (300, 500)]) == 300


def test_a_percentile_is_a_value_that_occurred() -> None:
    assert percentile([3, 1, 2], 50) == 2
    assert percentile(list(range(1, 101)), 95) == 95
    assert percentile([], 95) == 0


def test_captions_that_were_made_are_read_back_as_they_are() -> None:
    cues = make_cues([Spoken(0, 2000, "uno dos tres"), Spoken(3000, 9000, "a <b> " + "palabra " * 12)], 20_000)
    read = from_srt(to_srt(cues))
    assert [(cue.start_ms, cue.end_ms, len(cue.lines)) for cue in read] == [
        (cue.start_ms, cue.end_ms, len(cue.lines)) for cue in cues
    ]
    checked = conformance(read)
    assert checked.cues == len(cues)
    assert (checked.too_wide, checked.too_many_lines, checked.too_short, checked.too_long) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("cues", "broken"),
    [
        ([Cue(0, 2000, ("uno", "dos", "tres"))], "too_many_lines"),
        ([Cue(0, 5000, ("x" * 43,))], "too_wide"),
        ([Cue(0, 5000, ("字" * 17,))], "too_wide"),
        ([Cue(0, 1000, ("x" * 18,))], "too_fast"),
        ([Cue(0, 800, ("no",))], "too_short"),
        ([Cue(0, 7001, ("no",))], "too_long"),
        ([Cue(0, 2000, ("no",)), Cue(1999, 4000, ("sí",))], "overlapping"),
    ],
)
def test_a_cue_that_breaks_a_rule_is_counted(cues: list[Cue], broken: str) -> None:
    counts = conformance(cues)
    every = ("too_many_lines", "too_wide", "too_fast", "too_short", "too_long", "overlapping")
    assert {name: getattr(counts, name) for name in every} == {**dict.fromkeys(every, 0), broken: 1}
