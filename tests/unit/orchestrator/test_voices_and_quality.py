"""Voices are distinct as long as there are enough; metrics say what happened."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onevoice_kit.errors import InvalidInput
from services.orchestrator.policy.fitting import OVERRUN
from services.orchestrator.policy.line import NO_ROOM, SILENCE, Line, Placement
from services.orchestrator.policy.quality import Sound, measure, overlap_ms, percentile
from services.orchestrator.policy.voices import Voice, choose_voices
from tests.support.lines import placement, spoken

VOICES = [Voice(f"espeak:es+{n}", "es", "VOICE_GENDER_MALE", "espeak") for n in range(3)]
SOUND = Sound(loudness_lufs=-20.123, source_loudness_lufs=-20, true_peak_dbtp=-1.5, length_delta_ms=0)


def line(index: int, placed: Placement | None, *, end_ms: int = 0, speaker: str = "speaker_1") -> Line:
    """A line whose original starts at a whole second and lasts 800 ms, or until `end_ms`."""
    start = index * 1000
    return replace(spoken(start, end_ms or start + 800, 700, speaker=speaker), placement=placed)


def test_speakers_get_different_voices() -> None:
    chosen = choose_voices(["a", "b", "c"], "es", VOICES, {})
    assert sorted(chosen.values()) == [voice.id for voice in VOICES]


def test_more_speakers_than_voices_share_one() -> None:
    chosen = choose_voices(["a", "b", "c", "d"], "es", VOICES, {})
    assert set(chosen) == {"a", "b", "c", "d"}


def test_a_wish_for_a_speaker_comes_before_one_for_everybody() -> None:
    chosen = choose_voices(["a", "b"], "es", VOICES, {"b": "espeak:es+2", "*": "espeak:es+1"})
    assert chosen == {"a": "espeak:es+1", "b": "espeak:es+2"}


def test_one_voice_for_everyone_reaches_every_speaker() -> None:
    chosen = choose_voices(["a", "b", "c"], "es", VOICES, {"*": "espeak:es+1"})
    assert set(chosen.values()) == {"espeak:es+1"}


def test_a_voice_asked_for_one_speaker_is_not_given_to_another() -> None:
    chosen = choose_voices(["a", "b", "c"], "es", VOICES, {"c": "espeak:es+0"})
    assert chosen["c"] == "espeak:es+0"
    assert sorted(chosen.values()) == [voice.id for voice in VOICES]


@pytest.mark.parametrize(
    ("voices", "wish", "reason"),
    [(VOICES, {"*": "espeak:xx"}, "unknown_voice"), ([], {}, "unsupported_language")],
)
def test_what_cannot_be_spoken_is_a_typed_error(voices: list[Voice], wish: dict[str, str], reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        choose_voices(["a"], "es", voices, wish)
    assert caught.value.reason == reason


def test_metrics_of_a_clean_dub() -> None:
    lines = [line(0, placement(0, 700, 0)), line(1, placement(1100, 1800, 1000, speed=1.2))]
    metrics = measure(lines, SOUND)
    assert (metrics.coverage, metrics.budget_fit, metrics.dropped, metrics.overlap_ms) == (1.0, 1.0, 0, 0)
    assert (metrics.speed_p50, metrics.speed_p95, metrics.speed_max) == (1.0, 1.2, 1.2)
    assert metrics.onset_error_p95_ms == 100
    assert metrics.loudness_lufs == -20.12


def test_metrics_show_what_went_wrong() -> None:
    overrun, silent = placement(0, 1200, 0, flags=(OVERRUN,)), line(5, None, end_ms=6600)
    metrics = measure([line(0, overrun), line(1, placement(1000, 1800, 1000)), silent], SOUND)
    assert silent.flags == (NO_ROOM,)
    assert (metrics.overruns, metrics.budget_fit, metrics.overlap_ms, metrics.dropped) == (1, 0.3333, 200, 1)
    assert metrics.coverage == 0.5


def test_a_language_of_silent_lines_alone_is_not_covered() -> None:
    metrics = measure([replace(line(0, None), speech=SILENCE)], SOUND)
    assert (metrics.coverage, metrics.dropped, metrics.speed_max, metrics.onset_error_p95_ms) == (0.0, 1, 0.0, 0)


def test_speakers_may_talk_at_the_same_time_but_not_with_themselves() -> None:
    both = [line(0, placement(0, 1200, 0)), line(1, placement(1000, 1800, 1000), speaker="speaker_2")]
    assert overlap_ms(both) == 0


def test_a_percentile_is_a_value_that_occurred() -> None:
    assert percentile([3, 1, 2], 50) == 2
    assert percentile(list(range(1, 101)), 95) == 95
    assert percentile([], 95) == 0
