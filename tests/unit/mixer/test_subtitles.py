"""Subtitles are parsed and written anew."""

from __future__ import annotations

import pytest

from onevoice_kit.errors import InvalidInput
from services.mixer.subtitles import parse, write

PLAIN = "1\n00:00:01,000 --> 00:00:02,500\nHola\nmón\n\n2\n01:00:03,004 --> 01:00:04,000\nAdéu\n\n"


def test_plain_subtitles_stay_as_they_are():
    assert write(parse(PLAIN.encode()), 4_000_000) == PLAIN


@pytest.mark.parametrize("data", [PLAIN.replace("\n", "\r\n").encode(), b"\xef\xbb\xbf" + PLAIN.encode()])
def test_line_ends_and_byte_order_marks_do_not_matter(data):
    assert write(parse(data), 4_000_000) == PLAIN


def test_cues_end_with_the_film_and_come_in_order():
    text = "00:00:05,000 --> 00:00:09,000\nb\n\n00:00:01.000 --> 00:00:02.000\na\n\n00:00:20,000 --> 00:00:21,000\nc\n"
    assert write(parse(text.encode()), 6_000) == (
        "1\n00:00:01,000 --> 00:00:02,000\na\n\n2\n00:00:05,000 --> 00:00:06,000\nb\n\n"
    )


def test_nothing_in_a_line_is_a_command():
    text = "1\n00:00:01,000 --> 00:00:02,000\n{\\an8}<font face='x'>h\x07i</font>\n\n"
    written = write(parse(text.encode()), 9_000)
    assert not set("{}\\<>\x07") & set(written.replace("-->", ""))
    assert "hi" in written


@pytest.mark.parametrize(
    "data", [b"#EXTM3U\nfile:///etc/passwd\n", b"just text", b"1\n00:00:01 --> later\nx\n", b"\xff\xfe\x00"]
)
def test_anything_else_is_refused(data):
    with pytest.raises(InvalidInput) as caught:
        parse(data)
    assert caught.value.reason == "bad_subtitles"


def test_no_subtitles_are_no_subtitles():
    assert write(parse(b""), 1000) == ""
