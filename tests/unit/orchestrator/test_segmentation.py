"""Words become lines: cut at pauses, at speakers, and where they grow too long."""

from __future__ import annotations

from onevoice_jobs.records import Word
from services.orchestrator.policy.fitting import max_chars
from services.orchestrator.policy.segmentation import MAX_CHARS, MAX_MS, Turn, cut_lines


def words(start: int, count: int, *, each: int = 300, gap: int = 50) -> list[Word]:
    return [Word(f"w{start + i}", start + i * (each + gap), start + i * (each + gap) + each) for i in range(count)]


ONE = [Turn(0, 100_000, "speaker_1")]


def test_a_pause_ends_a_line() -> None:
    lines = cut_lines([words(0, 4) + words(5000, 4)], ONE, 100_000)
    assert [(line.start_ms, line.end_ms) for line in lines] == [(0, 1350), (5000, 6350)]


def test_a_long_stretch_is_cut_and_no_word_is_lost() -> None:
    spoken = words(0, 90)
    lines = cut_lines([spoken], ONE, 100_000)
    assert [w for line in lines for w in line.words] == spoken
    assert all(line.end_ms - line.start_ms <= MAX_MS and len(line.text) <= MAX_CHARS for line in lines)


def test_a_change_of_speaker_ends_a_line() -> None:
    lines = cut_lines([words(0, 8)], [Turn(0, 1400, "speaker_1"), Turn(1400, 9000, "speaker_2")], 9000)
    assert [line.speaker for line in lines] == ["speaker_1", "speaker_2"]


def test_a_single_short_word_joins_its_neighbour() -> None:
    lines = cut_lines([[Word("so", 0, 200)], [Word("it", 600, 900), Word("goes", 950, 1500)]], ONE, 100_000)
    assert [line.text for line in lines] == ["so it goes"]


def test_a_slot_lasts_until_the_next_line_begins_and_that_of_the_last_as_given() -> None:
    lines = cut_lines([words(0, 4) + words(5000, 4)], ONE, 9_000)
    assert [line.slot_ms for line in lines] == [5000, 4000]


def test_where_nothing_was_recognised_there_are_no_lines() -> None:
    assert cut_lines([], ONE, 9_000) == []


def test_a_budget_grows_with_the_slot_and_depends_on_the_script() -> None:
    assert max_chars(2000, "es") > max_chars(1000, "es") > max_chars(1000, "zh-Hans") >= 8
