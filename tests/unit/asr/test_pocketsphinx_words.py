"""From the decoder's segments to words."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from services.asr.engines.base import TimeRange
from services.asr.engines.context import with_context
from services.asr.engines.pocketsphinx_worker import words

REGION = TimeRange(1000, 3000)


def segment(word: str, start: int, end: int, prob: float = 0.5) -> SimpleNamespace:
    """Frames of 10 ms; the last frame belongs to the word."""
    return SimpleNamespace(word=word, start_frame=start, end_frame=end, prob=prob)


@pytest.mark.parametrize("filler", ["<s>", "</s>", "<sil>", "[NOISE]", "[SPEECH]", "++uh++"])
def test_fillers_are_no_words(filler):
    assert list(words([segment(filler, 20, 40)], 1000, REGION)) == []


@pytest.mark.parametrize(("spelt", "text"), [("was(2)", "was"), ("a(13)", "a"), ("don't", "don't"), ("o", "o")])
def test_marks_of_pronunciations_are_removed(spelt, text):
    assert [word.text for word in words([segment(spelt, 20, 40)], 1000, REGION)] == [text]


def test_times_are_on_the_timeline_of_the_source():
    (word,) = words([segment("yes", 20, 39)], 1000, REGION)
    assert (word.start_ms, word.end_ms) == (1200, 1400)


def test_a_word_that_lies_mostly_outside_the_region_belongs_to_another():
    got = words([segment("before", 0, 15), segment("in", 20, 30), segment("after", 205, 240)], 900, REGION)
    assert [word.text for word in got] == ["in"]


def test_a_word_at_the_edge_is_cut_to_the_region():
    first, last = words([segment("first", 5, 40), segment("last", 190, 215)], 900, REGION)
    assert (first.start_ms, last.end_ms) == (1000, 3000)


@pytest.mark.parametrize(("prob", "confidence"), [(0.25, 0.25), (1.000001, 1.0), (-0.1, 0.0)])
def test_confidence_is_a_probability(prob, confidence):
    (word,) = words([segment("yes", 20, 39, prob)], 1000, REGION)
    assert word.confidence == confidence


def test_a_region_is_heard_with_context_but_without_its_neighbours():
    regions = [TimeRange(50, 1000), TimeRange(1000, 2000), TimeRange(2500, 3000)]
    assert with_context(regions, 150) == [TimeRange(0, 1000), TimeRange(1000, 2150), TimeRange(2350, 3150)]
