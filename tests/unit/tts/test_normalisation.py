"""Written text as words to speak, by language, and the properties that hold for any text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.tts.normalisation.text import MAX_SPOKEN, spoken
from services.tts.normalisation.words import LANGUAGES

CASES = [line.split("\t") for line in Path(__file__).with_name("normalisation.tsv").read_text("utf-8").splitlines()]
"""Language, as written, as spoken."""

LETTERS = "abcdefghijklmnñopqrstuvwxyzéèüàß"
MARKS = "0123456789.,:;/-–°%€$£#@ ()h²ºªçßक२٣¹½"
word = st.text(LETTERS, min_size=3, max_size=9).map(lambda made: f"xq{made}")
"""A word that no language has."""
language = st.sampled_from([*sorted(LANGUAGES), "en-GB", "es-419", "pt-PT", "de-AT", "hi-Latn", "fr-xx", "en-x-odd"])
noise = st.text(MARKS, max_size=12)


@pytest.mark.parametrize(("tag", "written", "expected"), CASES)
def test_signs_become_words(tag, written, expected):
    assert spoken(written, tag) == expected


@pytest.mark.parametrize("tag", sorted(LANGUAGES))
def test_a_number_too_long_to_read_is_bounded(tag):
    for text in ("7" * 5_000, "7." * 2_500, "1/" * 2_500, "7 " * 2_500, "1:0" * 1_600, "$" * 5_000, "a." * 2_500):
        assert len(spoken(text, tag)) <= max(MAX_SPOKEN, len(text))


def test_a_long_number_is_read_digit_by_digit():
    assert spoken("12345678901234567890", "en").split()[-3:] == ["eight", "nine", "zero"]


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80), language)
def test_any_text_gives_a_text(text, tag):
    assert len(spoken(text, tag)) <= max(MAX_SPOKEN, len(text))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(word, noise), min_size=1, max_size=6), language)
def test_no_word_is_lost_between_signs_and_numbers(pairs, tag):
    written = "".join(f"{one} {signs} " for one, signs in pairs)
    assert re.findall(r"xq[^\W\d_]+", spoken(written, tag)) == [one for one, _ in pairs]


@settings(max_examples=100, deadline=None)
@given(st.lists(word, min_size=1, max_size=8), language)
def test_a_text_without_signs_stays_as_it_is(words, tag):
    text = " ".join(words)
    assert spoken(text, tag) == text


@settings(max_examples=150, deadline=None)
@given(st.integers(min_value=0, max_value=10**15 - 1), st.sampled_from(sorted(LANGUAGES)))
def test_every_number_is_read_without_a_digit(number, tag):
    assert not re.search(r"\d", spoken(f"{number}", tag))
