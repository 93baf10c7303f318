"""Voices are distinct as long as there are enough; metrics say what happened."""

from __future__ import annotations

import pytest

from onevoice_kit.errors import InvalidInput
from services.orchestrator.policy.fitting import NO_ROOM, OVERRUN
from services.orchestrator.policy.quality import DubbedLine, Sound, measure, overlap_ms, percentile
from services.orchestrator.policy.voices import Voice, choose_voices

VOICES = [Voice(f"espeak:es+{n}", "es", "VOICE_GENDER_MALE", "espeak") for n in range(3)]
SOUND = Sound(loudness_lufs=-20.123, source_loudness_lufs=-20, true_peak_dbtp=-1.5, length_delta_ms=0)


def line(index: int, placed: tuple[int, int] | None, **changes: object) -> DubbedLine:
    values: dict[str, object] = {
        "index": index,
        "start_ms": index * 1000,
        "end_ms": index * 1000 + 800,
        "speaker": "speaker_1",
        "source_text": "hello",
        "text": "hola",
        "slot_ms": 950,
        "natural_ms": 700,
        "placed_start_ms": placed[0] if placed else None,
        "placed_end_ms": placed[1] if placed else None,
        "speed": 1.0,
        "onset_error_ms": placed[0] - index * 1000 if placed else None,
        "flags": (),
    }
    return DubbedLine(**(values | changes))  # type: ignore[arg-type]


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
    metrics = measure([line(0, (0, 700)), line(1, (1100, 1800), speed=1.2)], SOUND)
    assert (metrics.coverage, metrics.budget_fit, metrics.dropped, metrics.overlap_ms) == (1.0, 1.0, 0, 0)
    assert (metrics.speed_p50, metrics.speed_p95, metrics.speed_max) == (1.0, 1.2, 1.2)
    assert metrics.onset_error_p95_ms == 100
    assert metrics.loudness_lufs == -20.12


def test_metrics_show_what_went_wrong() -> None:
    silent = line(2, None, start_ms=5000, end_ms=6600, speed=None, flags=(NO_ROOM,))
    metrics = measure([line(0, (0, 1200), flags=(OVERRUN,)), line(1, (1000, 1800)), silent], SOUND)
    assert (metrics.overruns, metrics.budget_fit, metrics.overlap_ms, metrics.dropped) == (1, 0.3333, 200, 1)
    assert metrics.coverage == 0.5


def test_a_language_of_silent_lines_alone_is_not_covered() -> None:
    metrics = measure([line(0, None, speed=None)], SOUND)
    assert (metrics.coverage, metrics.dropped, metrics.speed_max, metrics.onset_error_p95_ms) == (0.0, 1, 0.0, 0)


def test_speakers_may_talk_at_the_same_time_but_not_with_themselves() -> None:
    both = [line(0, (0, 1200)), line(1, (1000, 1800), speaker="speaker_2")]
    assert overlap_ms(both) == 0


def test_a_percentile_is_a_value_that_occurred() -> None:
    assert percentile([3, 1, 2], 50) == 2
    assert percentile(list(range(1, 101)), 95) == 95
    assert percentile([], 95) == 0
