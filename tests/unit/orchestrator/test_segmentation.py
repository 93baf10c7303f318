"""Words become lines: cut at pauses, at speakers, and where they grow too long."""

from __future__ import annotations

from onevoice_jobs.records import Word
from services.orchestrator.policy.budget import max_chars
from services.orchestrator.policy.segmentation import MAX_CHARS, MAX_MS, Turn, cut_segments


def words(start: int, count: int, *, each: int = 300, gap: int = 50) -> list[Word]:
    return [Word(f"w{start + i}", start + i * (each + gap), start + i * (each + gap) + each) for i in range(count)]


ONE = [Turn(0, 100_000, "speaker_1")]


def test_a_pause_ends_a_line() -> None:
    segments = cut_segments([words(0, 4) + words(5000, 4)], ONE)
    assert [(s.start_ms, s.end_ms) for s in segments] == [(0, 1350), (5000, 6350)]


def test_a_long_stretch_is_cut_and_no_word_is_lost() -> None:
    spoken = words(0, 90)
    segments = cut_segments([spoken], ONE)
    assert [w for s in segments for w in s.words] == spoken
    assert all(s.end_ms - s.start_ms <= MAX_MS and len(s.text) <= MAX_CHARS for s in segments)


def test_a_change_of_speaker_ends_a_line() -> None:
    segments = cut_segments([words(0, 8)], [Turn(0, 1400, "speaker_1"), Turn(1400, 9000, "speaker_2")])
    assert [s.speaker for s in segments] == ["speaker_1", "speaker_2"]


def test_a_single_short_word_joins_its_neighbour() -> None:
    segments = cut_segments([[Word("so", 0, 200)], [Word("it", 600, 900), Word("goes", 950, 1500)]], ONE)
    assert [s.text for s in segments] == ["so it goes"]


def test_a_budget_grows_with_the_slot_and_depends_on_the_script() -> None:
    assert max_chars(2000, "es") > max_chars(1000, "es") > max_chars(1000, "zh-Hans") >= 8
