"""The input of Apertium, and the parsing of its output."""

from __future__ import annotations

import pytest

from services.translate.engines.apertium_stream import Encoder, decode, join, replace_words
from services.translate.engines.base import Term, Translation

PLAIN = Encoder(())


def passed_through(text: str, encoder: Encoder = PLAIN) -> Translation | None:
    encoded = encoder.encode(text)
    return decode(encoded.stream, encoded.masks)


def test_plain_text_goes_in_as_it_is():
    assert PLAIN.encode("It’s 5 o'clock — “now”, isn't it?").stream == "It’s 5 o'clock — “now”, isn't it?"


@pytest.mark.parametrize("sign", [*"^$/<>{}\\@*#[]~_+=|", "😀", "[[", "]]", "[=1]", "[]", "\\*", "<b>x</b>"])
def test_every_sign_of_the_stream_format_is_masked_and_comes_back(sign):
    text = f"one {sign} two{sign}three"
    stream = PLAIN.encode(text).stream
    assert not set(stream) & set("^$/<>{}\\@*#~_+=|😀")
    assert passed_through(text) == Translation(text)


def test_marks_are_read_and_removed():
    assert decode("Esto es *flurble y @otra #vez y #tomar# fuera.", ()) == Translation(
        "Esto es flurble y otra vez y tomar fuera.", ("flurble",)
    )


def test_an_unknown_word_is_named_once_and_whole():
    assert decode("*cal·locat *don't *cal·locat *well-known.", ()) == Translation(
        "cal·locat don't cal·locat well-known.", ("cal·locat", "don't", "well-known")
    )


def test_what_the_generator_leaves_over_is_removed():
    assert decode("podria <inf> allà \\<x\\> a\\%", ()) == Translation("podria allà a%", ())


@pytest.mark.parametrize("stream", ["una", "una [0] [0]", "una [0] [1]"])
def test_a_mask_that_was_lost_or_doubled_is_noticed(stream):
    assert decode(stream, ("*",)) is None


def test_addresses_are_kept_whole():
    encoded = PLAIN.encode("Write to jo.doe@example.com or https://example.com/a?b=c.")
    assert encoded.masks == ("jo.doe@example.com", "https://example.com/a?b=c")
    assert passed_through("At www.example.com, now.") == Translation("At www.example.com, now.")


def test_terms_are_whole_words_whatever_their_case_and_spacing():
    encoder = Encoder((Term("dragon stone", "Piedra"), Term("cat", "gato"), Term("C++", "C más")))
    answer = passed_through("The DRAGON   stone, a Cat, cats, C++ and concat.", encoder)
    assert answer == Translation("The Piedra, a gato, cats, C más and concat.")


def test_the_longest_term_and_the_first_of_two_equal_ones_win():
    encoder = Encoder((Term("stone", "roca"), Term("dragon stone", "Piedra"), Term("Stone", "otra")))
    assert passed_through("dragon stone and stone", encoder) == Translation("Piedra and roca")


def test_a_term_goes_as_one_made_up_word_that_is_no_unknown_word():
    encoded = Encoder((Term("dragon stone", "la [Piedra] *1"),)).encode("My dragon stone.")
    assert encoded.stream == "My qzxvaaa."
    assert decode("Mi *Qzxvaaa.", encoded.masks) == Translation("Mi la [Piedra] *1.")


def test_a_text_that_holds_a_made_up_word_cannot_confuse_it():
    assert passed_through("qzxvaab and QZXVAAA and xqzxvaaay 😀") == Translation("qzxvaab and QZXVAAA and xqzxvaaay 😀")


def test_a_line_has_room_for_as_many_masks_as_its_length_allows():
    text = " ".join(["a"] * 999)
    assert passed_through(text, Encoder((Term("a", "ñ"),))) == Translation(text.replace("a", "ñ"))


def test_a_hostile_line_is_masked_in_reasonable_time():
    for text in ("a" * 2000, "a." * 1000, "@" * 2000, "_" * 2000, "www." * 500, "qzx" * 666, "a@" * 1000):
        assert passed_through(text) == Translation(text)


def test_words_are_replaced_whole():
    assert replace_words("an ann's ann, well-ann", {"ann": "Ann"}) == "an ann's Ann, well-ann"


def test_a_line_in_pieces_keeps_its_masks_and_its_spaces():
    encoded = PLAIN.encode("one * two*three")
    pieces = [Translation("uno"), Translation("dos", ("x",)), Translation("tres", ("x",))]
    assert join(encoded, pieces) == Translation("uno * dos*tres", ("x",))
