"""Sentences, terms and the choice among hypotheses, without a model."""

from __future__ import annotations

import pytest

from services.translate.engines.base import Term
from services.translate.engines.ct2_text import fitted, fixed_terms, joined, keeps, mask, sentences, unmask

STONE = Term("dragon stone", "piedra del dragón")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One house.", ["One house."]),
        ("It rains. Take a coat! Why?", ["It rains.", "Take a coat!", "Why?"]),
        ("Mr. Smith met Dr. Jones at 5 p.m. yesterday.", ["Mr. Smith met Dr. Jones at 5 p.m. yesterday."]),
        ("He said “Go.” Then he left.", ["He said “Go.”", "Then he left."]),
        ("¿Qué? ¡No! Sí.", ["¿Qué?", "¡No!", "Sí."]),
        ("今日は晴れ。明日は雨。", ["今日は晴れ。", "明日は雨。"]),
        ("It rains. 3 dogs bark.", ["It rains.", "3 dogs bark."]),
        ("3.5 is more than 2.1", ["3.5 is more than 2.1"]),
        ("", []),
    ],
)
def test_a_text_is_cut_where_a_sentence_ends(text, found):
    assert sentences(text) == found


def test_terms_are_masked_and_come_back_where_the_model_puts_them():
    masked = mask("The Dragon Stone is red.", [STONE])
    assert masked is not None
    assert masked.text == "The Zq0 is red."
    assert unmask("Rojo es el zq 0.", masked) == "Rojo es el piedra del dragón."


@pytest.mark.parametrize("answer", ["Es rojo.", "Zq0 y Zq0.", "Zq1."])
def test_a_translation_that_lost_or_doubled_a_stand_in_counts_for_nothing(answer):
    masked = mask("The dragon stone is red.", [STONE])
    assert masked is not None
    assert unmask(answer, masked) is None


def test_a_source_that_looks_like_a_stand_in_is_not_masked_in_vain():
    masked = mask("Zq7 is a dragon stone.", [STONE])
    assert masked is not None
    assert unmask("Zq7 es Zq0.", masked) is None


def test_the_longest_of_overlapping_terms_is_masked():
    masked = mask("The dragon stone.", [Term("dragon", "dragón"), STONE])
    assert masked is not None
    assert masked.targets == ("piedra del dragón",)


def test_what_stands_around_the_terms_keeps_its_white_space():
    masked = mask("The dragon stone is red.", [STONE])
    assert masked is not None
    assert masked.between == ("The ", " is red.")
    assert joined(masked, ["La", "es roja."]) == "La piedra del dragón es roja."


def test_addresses_are_kept_as_they_are():
    text = "Write to ann@example.org or see https://example.org/a?b=1 soon."
    found = fixed_terms(text, [STONE])
    assert [term.source for term in found[1:]] == ["ann@example.org", "https://example.org/a?b=1"]
    assert all(term.source == term.target for term in found[1:])


def test_an_empty_translation_keeps_nothing():
    assert not keeps("A line.", "", [])
    assert keeps("A line.", "Una línea.", [])
    assert not keeps("A dragon stone.", "Una roca.", [STONE])


@pytest.mark.parametrize(
    ("parts", "most", "text"),
    [
        ([["a long line", "short"]], 0, "a long line"),
        ([["a long line", "short"]], 11, "a long line"),
        ([["a long line", "mid line", "short"]], 9, "mid line"),
        ([["a long line", "mid line", "short"]], 5, "short"),
        ([["a long line", "mid line", "short"]], 3, "short"),
        ([["one very long part", "short"], ["another part", "part"]], 24, "one very long part part"),
        ([["one very long part", "short"], ["another part", "part"]], 10, "short part"),
        ([["a long line", ""]], 3, "a long line"),
        ([[""], ["text"]], 0, "text"),
    ],
)
def test_the_most_probable_hypotheses_that_fit_make_the_line(parts, most, text):
    assert fitted(parts, most, "es") == text


def test_digits_count_as_long_as_they_are_spoken():
    assert fitted([["En 2026 llueve", "Llueve"]], 20, "es") == "Llueve"
    assert fitted([["En 2026 llueve", "Llueve"]], 20, "ja") == "En 2026 llueve"
