"""Voices are distinct as long as there are enough; metrics say what happened."""

from __future__ import annotations

import pytest

from onevoice_kit.errors import InvalidInput
from services.orchestrator.policy.voices import Voice, choose_voices

VOICES = [Voice(f"espeak:es+{n}", "es", "VOICE_GENDER_MALE", "espeak") for n in range(3)]


def test_speakers_get_different_voices() -> None:
    chosen = choose_voices(["a", "b", "c"], "es", VOICES, {})
    assert sorted(chosen.values()) == [voice.id for voice in VOICES]


def test_more_speakers_than_voices_share_one() -> None:
    chosen = choose_voices(["a", "b", "c", "d"], "es", VOICES, {})
    assert set(chosen) == {"a", "b", "c", "d"}


def test_a_choice_for_a_speaker_comes_before_the_one_for_all() -> None:
    chosen = choose_voices(["a", "b"], "es", VOICES, {"b": "espeak:es+2", "*": "espeak:es+1"})
    assert chosen == {"a": "espeak:es+1", "b": "espeak:es+2"}


def test_one_voice_for_everyone_reaches_every_speaker() -> None:
    chosen = choose_voices(["a", "b", "c"], "es", VOICES, {"*": "espeak:es+1"})
    assert set(chosen.values()) == {"espeak:es+1"}


def test_a_voice_chosen_for_one_speaker_is_not_given_to_another() -> None:
    chosen = choose_voices(["a", "b", "c"], "es", VOICES, {"c": "espeak:es+0"})
    assert chosen["c"] == "espeak:es+0"
    assert sorted(chosen.values()) == [voice.id for voice in VOICES]


@pytest.mark.parametrize(
    ("voices", "choice", "reason"),
    [(VOICES, {"*": "espeak:xx"}, "unknown_voice"), ([], {}, "unsupported_language")],
)
def test_what_cannot_be_spoken_is_a_typed_error(voices: list[Voice], choice: dict[str, str], reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        choose_voices(["a"], "es", voices, choice)
    assert caught.value.reason == reason
