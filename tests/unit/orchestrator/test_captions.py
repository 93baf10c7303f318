"""Captions can be read: their length, their speed, their lines."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from services.orchestrator.policy.captions import Cue, Spoken, make_cues, to_srt, to_vtt

WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumped",
    "over",
    "a",
    "lazy",
    "dog",
    "because",
    "nobody",
    "had",
    "told",
    "it",
    "that",
    "extraordinary",
    "things",
    "happen",
]


def test_a_short_line_is_one_cue_shown_long_enough_to_read() -> None:
    (cue,) = make_cues([Spoken(1000, 1300, "Yes.")], 10_000)
    assert cue == Cue(1000, 1833, ("Yes.",))


def test_a_long_line_becomes_even_lines_and_several_cues() -> None:
    cues = make_cues([Spoken(0, 9000, " ".join(WORDS + WORDS))], 60_000)
    assert len(cues) >= 2
    assert " ".join(line for cue in cues for line in cue.lines).split() == WORDS + WORDS


def test_cjk_lines_are_sixteen_characters() -> None:
    cues = make_cues(
        [Spoken(0, 8000, "今日はとても良い天気なので散歩に行きましょうと彼は言いましたが私は行きませんでした")], 20_000
    )
    assert all(len(line) <= 16 for cue in cues for line in cue.lines)


@pytest.mark.parametrize("seed", range(100))
def test_the_rules_hold_whatever_the_text(seed: int) -> None:
    rng = random.Random(seed)
    spoken, at = [], 0
    for _ in range(rng.randint(1, 20)):
        text = " ".join(rng.choices(WORDS, k=rng.randint(1, 30)))
        length = max(300, len(text) * rng.randint(40, 80))
        spoken.append(Spoken(at, at + length, text))
        at += length + rng.randint(50, 3000)
    cues = make_cues(spoken, at)
    assert " ".join(line for cue in cues for line in cue.lines).split() == " ".join(s.text for s in spoken).split()
    for cue in cues:
        assert len(cue.lines) <= 2
        assert all(len(line) <= 42 for line in cue.lines)
        assert cue.end_ms - cue.start_ms <= 7000
    for first, second in pairwise(cues):
        assert first.end_ms <= second.start_ms


def test_srt_and_vtt_are_what_players_read() -> None:
    cue = Cue(3_661_001, 3_662_500, ("Tom & <b>Jerry</b>", "-->"))
    assert to_srt([cue]) == "1\n01:01:01,001 --> 01:01:02,500\nTom & ‹b›Jerry‹/b›\n--›\n"
    assert to_vtt([cue]) == ("WEBVTT\n\n01:01:01.001 --> 01:01:02.500\nTom &amp; &lt;b&gt;Jerry&lt;/b&gt;\n--&gt;\n")


def test_control_characters_and_direction_overrides_never_reach_a_caption_file() -> None:
    text = "a\x1b[31mb\x00c\x9bd\u202ee\u2066f\x85g\u2028h"
    cues = make_cues([Spoken(0, 2000, text)], 2000)
    assert [cue.lines for cue in cues] == [("a[31mbcdef g h",)]
    assert not {"\x1b", "\x00", "\x9b", "\u202e", "\u2066"} & set(to_srt(cues) + to_vtt(cues))
