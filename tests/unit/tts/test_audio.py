"""Trimming and wrapping of samples."""

from __future__ import annotations

import array
import io
import wave

import pytest

from services.tts.audio import HEADER_BYTES, length_ms, to_wav, trim

RATE = 22_050


def tone(ms: int, level: int = 10_000) -> bytes:
    return array.array("h", [level, -level] * (RATE * ms // 2000)).tobytes()


def silence(ms: int, level: int = 0) -> bytes:
    return tone(ms, level)


def milliseconds(samples: bytes) -> float:
    return len(samples) / 2 * 1000 / RATE


def test_silence_is_trimmed_at_both_ends_and_a_breath_is_kept():
    trimmed = trim(silence(300) + tone(500) + silence(400), RATE)
    assert milliseconds(trimmed) == pytest.approx(520, abs=11)
    onset = next(i for i, sample in enumerate(array.array("h", trimmed)) if sample)
    assert onset * 1000 / RATE == pytest.approx(10, abs=5)


def test_a_pause_within_the_line_stays():
    trimmed = trim(silence(50) + tone(200) + silence(600) + tone(200) + silence(50), RATE)
    assert milliseconds(trimmed) == pytest.approx(1_020, abs=11)


def test_noise_far_below_the_speech_counts_as_silence():
    assert milliseconds(trim(silence(300, level=50) + tone(500), RATE)) == pytest.approx(510, abs=6)


def test_a_soft_onset_does_not():
    assert milliseconds(trim(silence(300) + tone(100, level=300) + tone(400), RATE)) == pytest.approx(510, abs=6)


def test_speech_without_silence_around_it_stays_whole():
    assert trim(tone(500), RATE) == tone(500)


@pytest.mark.parametrize("nothing", [b"", b"\x00", silence(500)])
def test_nothing_but_silence_is_nothing(nothing):
    assert trim(nothing, RATE) == b""


def test_the_loudest_sample_there_is_does_no_harm():
    assert trim(array.array("h", [-32_768] * 500).tobytes(), RATE) == array.array("h", [-32_768] * 500).tobytes()


def test_a_wav_file_has_its_format_in_the_header_and_its_length_by_its_size():
    file = to_wav(tone(1234), RATE)
    with wave.open(io.BytesIO(file)) as wav:
        assert (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) == (1, 2, RATE)
        assert wav.readframes(wav.getnframes()) == tone(1234)
        assert length_ms(len(file), RATE) == round(wav.getnframes() * 1000 / RATE)
    assert len(file) == HEADER_BYTES + len(tone(1234))
