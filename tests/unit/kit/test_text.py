"""Text from outside on one clean line."""

from __future__ import annotations

from onevoice_kit.text import clean


def test_cleaning_leaves_one_line_without_anything_invisible():
    assert clean(" a\x00b\r\n\tc\u2028d \u200b\u202e e\ufeff ") == "a b c d e"
    assert clean("e\u0301") == "é"
    assert clean("\x07\x1b\u0000") == ""


def test_joiners_stay_because_they_shape_letters_and_emoji():
    assert clean("a\u200db\u200cc") == "a\u200db\u200cc"
