"""Voices are distinct as long as there are enough, fit gender and pitch, and stay the same for the same speaker."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onevoice_kit.errors import InvalidInput, Unavailable
from services.orchestrator.policy.voices import Recast, Speaker, Voice, choose_voices, recast_voices

VOICES = [Voice(f"espeak:es+{n}", "es", "male", "espeak") for n in range(3)]
SPANISH = [
    Voice("natural:woman", "es", "female", "natural", 172),
    Voice("natural:man", "es", "male", "natural", 125),
    Voice("natural:deep", "es", "male", "natural", 88),
    Voice("machine:man", "es", "male", "machine", 101),
    Voice("machine:woman", "es", "female", "machine", 195),
]
MAN, WOMAN = "male", "female"


def named(*names: str) -> list[Speaker]:
    return [Speaker(name) for name in names]


def chosen_for(*speakers: Speaker, voices: list[Voice] = SPANISH) -> list[str]:
    chosen = choose_voices(speakers, "es", voices, {})
    return [chosen[speaker.name] for speaker in speakers]


def test_speakers_get_different_voices() -> None:
    chosen = choose_voices(named("a", "b", "c"), "es", VOICES, {})
    assert sorted(chosen.values()) == [voice.id for voice in VOICES]


def test_more_speakers_than_voices_share_one() -> None:
    chosen = choose_voices(named("a", "b", "c", "d"), "es", VOICES, {})
    assert set(chosen) == {"a", "b", "c", "d"}


def test_a_choice_for_a_speaker_comes_before_the_one_for_all() -> None:
    chosen = choose_voices(named("a", "b"), "es", VOICES, {"b": "espeak:es+2", "*": "espeak:es+1"})
    assert chosen == {"a": "espeak:es+1", "b": "espeak:es+2"}


def test_one_voice_for_everyone_reaches_every_speaker() -> None:
    chosen = choose_voices(named("a", "b", "c"), "es", VOICES, {"*": "espeak:es+1"})
    assert set(chosen.values()) == {"espeak:es+1"}


def test_a_voice_chosen_for_one_speaker_is_not_given_to_another() -> None:
    chosen = choose_voices(named("a", "b", "c"), "es", VOICES, {"c": "espeak:es+0"})
    assert chosen["c"] == "espeak:es+0"
    assert sorted(chosen.values()) == [voice.id for voice in VOICES]


@pytest.mark.parametrize(
    ("voices", "choice", "reason"),
    [(VOICES, {"*": "espeak:xx"}, "unknown_voice"), ([], {}, "unsupported_language")],
)
def test_what_cannot_be_spoken_is_a_typed_error(voices: list[Voice], choice: dict[str, str], reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        choose_voices(named("a"), "es", voices, choice)
    assert caught.value.reason == reason


def test_the_gender_and_then_the_pitch_of_the_speaker_decide():
    one, two, three = Speaker("speaker_1", MAN, 92), Speaker("speaker_2", WOMAN, 210), Speaker("speaker_3", MAN, 120)
    assert chosen_for(one, two, three) == ["natural:deep", "natural:woman", "natural:man"]


def test_a_second_speaker_of_a_gender_gets_the_next_engines_voice_of_that_gender_not_one_of_another():
    assert chosen_for(Speaker("speaker_1", WOMAN), Speaker("speaker_2", WOMAN)) == ["natural:woman", "machine:woman"]


def test_an_engine_without_a_voice_of_the_gender_still_comes_before_the_next_engine():
    french = [Voice("natural:woman", "fr", WOMAN, "natural"), Voice("machine:man", "fr", MAN, "machine")]
    assert chosen_for(Speaker("speaker_1", MAN), voices=french) == ["natural:woman"]
    assert chosen_for(Speaker("speaker_1", MAN), Speaker("speaker_2", WOMAN), voices=french) == [
        "machine:man",
        "natural:woman",
    ]


def test_a_speaker_alone_has_the_voice_that_it_has_among_others():
    speakers = [Speaker(f"speaker_{n}", gender) for n, gender in enumerate([WOMAN, MAN, MAN], start=1)]
    together = chosen_for(*speakers)
    assert len(set(together)) == 3
    assert [chosen_for(speaker)[0] for speaker in speakers] == together


def test_a_small_difference_of_pitch_changes_no_voice():
    assert {chosen_for(Speaker("speaker_1", MAN, hertz))[0] for hertz in range(118, 134)} == {"natural:man"}


def test_a_speaker_with_a_name_of_its_own_keeps_its_voice():
    first = chosen_for(Speaker("Anna", WOMAN))
    assert first == chosen_for(Speaker("Anna", WOMAN), Speaker("speaker_2", MAN))[:1] == ["natural:woman"]


BEFORE = {"speaker_1": "natural:man", "speaker_2": "machine:woman", "speaker_3": "natural:deep"}
THREE = [Speaker("speaker_1", MAN), Speaker("speaker_2", WOMAN), Speaker("speaker_3", MAN)]
THIRD = [*SPANISH, Voice("other:man", "es", "male", "other"), Voice("other:woman", "es", "female", "other")]


def recast(*engines: str, wanted: dict[str, str] | None = None, voices: list[Voice] = THIRD) -> dict[str, str]:
    recasts = [Recast(engine, "engine_failed", BEFORE) for engine in engines]
    return recast_voices(THREE, "es", voices, wanted or {}, recasts)


def test_the_speakers_of_an_engine_that_stopped_get_voices_of_another_and_the_rest_keep_theirs():
    assert recast("natural") == {"speaker_1": "machine:man", "speaker_2": "machine:woman", "speaker_3": "other:man"}
    assert recast("machine") == BEFORE | {"speaker_2": "natural:woman"}


def test_a_voice_that_is_kept_needs_not_be_listed_any_more():
    left = [voice for voice in THIRD if voice.id != "machine:woman"]
    assert recast("natural", voices=left)["speaker_2"] == "machine:woman"


def test_of_two_engines_that_stopped_neither_is_chosen():
    voices = recast("natural", "machine")
    assert {voice.partition(":")[0] for voice in voices.values()} == {"other"}
    assert voices["speaker_2"] == "other:woman"


def test_the_voice_that_the_user_wants_is_kept_though_its_engine_stopped():
    found = recast("natural", wanted={"speaker_1": "natural:man"})
    assert (found["speaker_1"], found["speaker_3"]) == ("natural:man", "machine:man")


def test_where_no_other_engine_has_a_voice_at_the_time_the_language_waits_for_one():
    with pytest.raises(Unavailable) as caught:
        recast("natural", voices=[voice for voice in SPANISH if voice.engine == "natural"])
    assert (caught.value.reason, caught.value.retryable) == ("engine_failed", True)


def test_without_a_recast_the_voices_are_those_of_the_first_choice():
    assert recast() == choose_voices(THREE, "es", THIRD, {})


def test_of_one_gender_a_second_speaker_gets_an_accent_before_another_engine_and_the_first_none():
    accented = replace(VOICES[0], id="natural:maria", gender="female", engine="natural", pitch_hz=198, native=False)
    voices = [*SPANISH[:1], accented, *SPANISH[1:]]
    women = Speaker("speaker_1", WOMAN, 200), Speaker("speaker_2", WOMAN, 200)
    assert chosen_for(*women, voices=voices) == ["natural:woman", "natural:maria"]
