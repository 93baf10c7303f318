"""Words of a whole audio and their speakers, put into the regions of speech."""

from __future__ import annotations

from services.asr.engines.base import SpokenWord, TimeRange, Turn, Word
from services.asr.spoken import by_region

REGIONS = [TimeRange(0, 1000), TimeRange(1000, 2000), TimeRange(5000, 6000)]


def spoken(text: str, start: int, end: int, speaker: str = "a") -> SpokenWord:
    return SpokenWord(Word(text, start, end, 0.9), speaker)


def texts(words, count=0):
    return [[word.text for word in one.words] for one in by_region(words, REGIONS, count).utterances]


def turns(words, count=0):
    found = by_region(words, REGIONS, count).turns
    return [(turn.range.start_ms, turn.range.end_ms, turn.speaker) for turn in found]


def test_a_word_is_in_the_region_that_holds_its_middle_or_is_nearest_to_it():
    words = [spoken("one", 100, 400), spoken("two", 950, 1150), spoken("near", 6050, 6250), spoken("last", 5000, 5300)]
    assert texts(sorted(words, key=lambda one: one.word.start_ms)) == [["one"], ["two"], ["last", "near"]]


def test_words_are_placed_within_their_region():
    (_, second, third) = by_region([spoken("two", 950, 1150), spoken("near", 6050, 6250)], REGIONS, 0).utterances
    assert [(word.start_ms, word.end_ms) for word in second.words] == [(1000, 1150)]
    assert all(5000 <= word.start_ms < word.end_ms <= 6000 for word in third.words)


def test_a_word_far_from_every_region_is_left_out():
    assert texts([spoken("one", 100, 400), spoken("noise", 3000, 3200)]) == [["one"], [], []]


def test_speakers_are_numbered_as_they_begin_and_change_halfway_between_their_words():
    words = [spoken("one", 100, 400, "z"), spoken("two", 600, 900, "b"), spoken("three", 5100, 5300, "z")]
    assert turns(words) == [
        (0, 500, "speaker_1"),
        (500, 1000, "speaker_2"),
        (1000, 2000, "speaker_2"),
        (5000, 6000, "speaker_1"),
    ]


def test_a_region_before_the_first_word_is_the_first_speakers():
    assert turns([spoken("three", 5100, 5300, "z")]) == [
        (0, 1000, "speaker_1"),
        (1000, 2000, "speaker_1"),
        (5000, 6000, "speaker_1"),
    ]


def test_without_a_word_every_region_has_a_turn():
    assert by_region([], REGIONS, 0).turns == tuple(Turn(region, "speaker_1") for region in REGIONS)


def test_a_word_without_a_speaker_is_that_of_the_word_before_it():
    words = [spoken("one", 100, 300, ""), spoken("two", 400, 600, "b"), spoken("three", 1100, 1300, "")]
    assert {speaker for _, _, speaker in turns(words)} == {"speaker_1"}


def test_more_speakers_than_given_are_those_beside_them():
    words = [spoken(f"w{n}", n * 150, n * 150 + 100, speaker) for n, speaker in enumerate("aaabaac")]
    assert len({speaker for _, _, speaker in turns(words)}) == 3
    assert {speaker for _, _, speaker in turns(words, count=1)} == {"speaker_1"}
    assert len({speaker for _, _, speaker in turns(words, count=2)}) == 2
