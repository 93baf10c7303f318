"""Words that cannot be what is said: loops and impossible speed are found, songs and fast speakers are not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from onevoice_jobs.records import Word
from services.orchestrator.policy.line import Source
from services.orchestrator.policy.plausibility import (
    LOOP,
    TOO_FAST,
    doubtful,
    little_speech,
    too_doubtful,
    wrong_language,
)

TALK = "and so my fellow americans ask not what your country can do for you ask what you can do for your country"


def line(text: str, start_ms: int, seconds: float) -> Source:
    """Its words share the time evenly."""
    texts, end_ms = text.split(), start_ms + round(seconds * 1000)
    each = (end_ms - start_ms) // len(texts)
    words = tuple(Word(one, start_ms + n * each, start_ms + (n + 1) * each) for n, one in enumerate(texts))
    return Source(start_ms, end_ms, "speaker_1", words, end_ms - start_ms)


def spoken(*texts: str, seconds: float = 4.0) -> list[Source]:
    return [line(text, round(n * seconds * 1000), seconds) for n, text in enumerate(texts)]


@pytest.mark.parametrize(
    "lines",
    [
        spoken(TALK, seconds=8.0),
        spoken("no no no no no no", "let it go let it go", "can't hold it back any more", "let it go let it go"),
        spoken("thank you", "thank you", "thank you very much", "you are welcome"),
        spoken("今日はとても良い天気ですね", "そうですね"),
        spoken("1 2 3 4 5 6 7 8 9 10", seconds=3.0),
        spoken("♪", "…"),
        [],
    ],
)
def test_what_people_say_is_not_in_doubt(lines: Sequence[Source]) -> None:
    assert doubtful(lines) == {}


@pytest.mark.parametrize(
    "texts",
    [
        ["thank you for watching"] * 6,
        ["you " * 12],
        ["Thank you.", "thank you,", "THANK YOU!", "thank you", "thank you"],
        ["ご視聴ありがとうございました"] * 10,
        ["one two three four five six seven eight " * 5],
    ],
)
def test_a_phrase_again_and_again_is_in_doubt_over_its_whole_time(texts: Sequence[str]) -> None:
    assert doubtful(spoken(*texts)) == {LOOP: 4_000 * len(texts)}


def test_a_line_beside_a_loop_is_not_in_doubt() -> None:
    loop = ["thank you for watching"] * 6
    assert doubtful(spoken(TALK, *loop, "and now to something else", seconds=6.0)) == {LOOP: 36_000}


@pytest.mark.parametrize("text", [TALK, "今日はとても良い天気ですね" * 3])
def test_text_that_cannot_be_spoken_in_the_time_is_in_doubt(text: str) -> None:
    assert doubtful(spoken(text, seconds=1.5)) == {TOO_FAST: 1_500}


def test_hardly_any_speech_is_found_in_sources_of_a_minute_and_more() -> None:
    assert little_speech([(0, 2_900)], 60_000)
    assert not little_speech([(0, 1_500), (9_000, 10_500)], 60_000)
    assert not little_speech([(0, 1_000)], 59_000)


@pytest.mark.parametrize(
    ("doubt_ms", "spoken_ms", "stops"),
    [(9_999, 10_000, False), (10_000, 20_000, True), (10_000, 21_000, False), (0, 0, False), (600_000, 700_000, True)],
)
def test_doubt_stops_a_job_where_it_is_long_and_most_of_the_speech(doubt_ms: int, spoken_ms: int, stops: bool) -> None:
    assert too_doubtful(doubt_ms, spoken_ms) is stops


@pytest.mark.parametrize(
    ("heard", "named", "wrong"), [(0.95, 0.001, True), (0.95, 0.02, False), (0.7, 0.001, False), (0.95, None, False)]
)
def test_a_language_is_wrong_only_where_another_is_all_but_certain(heard, named, wrong):
    assert wrong_language(heard, named) is wrong
