"""The engine `speakers` on real and synthetic voices: turns, pitch, gender, and the engine that stands in."""

from __future__ import annotations

import io
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from onevoice_kit.errors import InvalidInput, PreconditionFailed
from services.asr.engines import speakers, speakers_model
from services.asr.engines.base import Gender, TimeRange
from services.asr.engines.registry import diarization_engines
from services.asr.engines.speakers import create
from services.asr.engines.speakers_model import D_VECTOR, is_narrow, log_mel, widened
from services.asr.engines.speakers_pitch import gender, median_pitch_hz, voiced
from services.asr.settings import AsrSettings
from tests.unit.asr import samples

OTHER = [samples.SPEECH_DIR.parent / name for name in ("goforward.raw", "numbers.raw", "something.raw")]
"""Three phrases of another man than the reader of LibriVox."""


def other(number: int) -> samples.Sound:
    sound = np.frombuffer(OTHER[number].read_bytes(), "<i2") / 32768
    loud = np.flatnonzero(np.abs(sound) > 0.1 * np.abs(sound).max())
    spoken: samples.Sound = np.asarray(sound[loud[0] : loud[-1]])
    return spoken


def spoken(voice: str) -> samples.Sound:
    """A sentence by eSpeak NG, at the rate of the tests' sounds."""
    line = ["espeak-ng", "-v", voice, "--stdout", "The window was open and the garden smelled of rain."]
    sound, rate = soundfile.read(io.BytesIO(subprocess.run(line, check=True, capture_output=True).stdout))
    places = np.arange(int(sound.size / rate * samples.RATE)) * rate / samples.RATE
    return np.asarray(np.interp(places, np.arange(sound.size), sound))


def placed(path: Path, *sounds: samples.Sound, pause_s: float = 0.5) -> tuple[Path, list[TimeRange]]:
    """The sounds one after another, and the region of each."""
    parts, regions, at = [], [], 0
    for sound in sounds:
        parts += [sound, samples.silence(pause_s)]
        regions.append(TimeRange(at * 1000 // samples.RATE, (at + sound.size) * 1000 // samples.RATE))
        at += sound.size + int(pause_s * samples.RATE)
    return samples.write(path, np.concatenate(parts)), regions


@pytest.fixture
async def engine():
    made = create(AsrSettings(asr_workers=1))
    yield made
    await made.close()


def longest(found, region):
    """The speaker of the longest turn of a region."""
    inside = [turn for turn in found.turns if region.start_ms <= turn.range.start_ms < region.end_ms]
    return max(inside, key=lambda turn: turn.range.length_ms).speaker


async def test_two_real_voices_are_two_speakers(engine, tmp_path):
    reader = [samples.speech(name) for name in samples.NAMES[:2]]
    path, regions = placed(tmp_path / "a.wav", reader[0], other(0), other(1), reader[1], other(2))
    found = await engine.diarize(path, regions, 0)
    expected = ["speaker_1", "speaker_2", "speaker_2", "speaker_1", "speaker_2"]
    assert [longest(found, region) for region in regions] == expected
    assert [speaker.gender for speaker in found.speakers] == [Gender.MALE, Gender.MALE]


def narrow(sound: samples.Sound) -> samples.Sound:
    """The sound over a telephone: 300 to 3,300 Hz."""
    spectrum, hertz = np.fft.rfft(sound), np.fft.rfftfreq(sound.size, 1 / samples.RATE)
    spectrum[(hertz < 300) | (hertz > 3300)] = 0
    return np.asarray(np.fft.irfft(spectrum, sound.size))


async def test_two_voices_over_a_telephone_are_separated_where_their_number_is_given(engine, tmp_path):
    sounds = [sound for n in range(3) for sound in (samples.speech(samples.NAMES[n]), other(n))]
    path, regions = placed(tmp_path / "a.wav", *map(narrow, sounds))
    found = await engine.diarize(path, regions, 2)
    assert [longest(found, region) for region in regions] == ["speaker_1", "speaker_2"] * 3


def test_a_telephone_is_recognised_and_its_lost_bands_follow_the_others():
    whole = (samples.speech(samples.NAMES[0]) * 32767).astype(np.int16)
    lost = (narrow(samples.speech(samples.NAMES[0])) * 32767).astype(np.int16)
    assert (is_narrow(whole), is_narrow(lost)) == (False, True)
    features, truth = widened(log_mel(lost)), log_mel(whole)
    assert np.abs(features - truth)[:, 30:].mean() < np.abs(log_mel(lost) - truth)[:, 30:].mean() / 2


async def test_a_change_within_a_region_is_put_near_the_pause(engine, tmp_path):
    reader, second = samples.speech(samples.NAMES[0])[: 3 * samples.RATE], other(1)[: 3 * samples.RATE]
    path, regions = placed(tmp_path / "a.wav", reader, second, pause_s=0.1)
    turns = (await engine.diarize(path, [TimeRange(0, regions[1].end_ms)], 2)).turns
    assert [turn.speaker for turn in turns] == ["speaker_1", "speaker_2"]
    assert abs(turns[1].range.start_ms - regions[1].start_ms) < 400


async def test_one_voice_over_music_is_one_speaker(engine, tmp_path):
    sound = np.concatenate([samples.speech(name) for name in samples.NAMES])
    level = float(np.sqrt(np.mean(np.square(sound)))) / np.sqrt(10)
    path, regions = placed(
        tmp_path / "a.wav", sound + samples.music(sound.size / samples.RATE + 1, level)[: sound.size]
    )
    found = await engine.diarize(path, regions, 0)
    assert [speaker.name for speaker in found.speakers] == ["speaker_1"]


@pytest.mark.parametrize(("voice", "expected"), [("en-us", Gender.MALE), ("en-us+f3", Gender.FEMALE)])
async def test_the_gender_of_a_speaker_is_that_of_the_voice(engine, tmp_path, voice, expected):
    path, regions = placed(tmp_path / "a.wav", spoken(voice))
    [speaker] = (await engine.diarize(path, regions, 0)).speakers
    assert speaker.gender == expected


async def test_a_region_after_the_end_is_refused(engine, tmp_path):
    path, [region] = placed(tmp_path / "a.wav", other(0))
    with pytest.raises(InvalidInput) as caught:
        await engine.diarize(path, [region, TimeRange(60_000, 61_000)], 0)
    assert caught.value.reason == "invalid_regions"


async def test_the_shortest_region_has_a_speaker(engine, tmp_path):
    path, _ = placed(tmp_path / "a.wav", other(0))
    [turn] = (await engine.diarize(path, [TimeRange(1000, 1040)], 0)).turns
    assert turn.range == TimeRange(1000, 1040)


@pytest.mark.parametrize(("hertz", "expected"), [(80, 80), (120, 120), (210, 210), (330, 330)])
def test_the_pitch_of_a_tone_with_harmonics_is_its_fundamental(hertz, expected):
    time = np.arange(samples.RATE) / samples.RATE
    tone = sum(np.sin(2 * np.pi * hertz * number * time) / number for number in range(1, 6))
    pitch = median_pitch_hz(voiced((tone * 6000).astype(np.int16)))
    assert abs(pitch - expected) <= 3


def test_noise_and_silence_have_no_pitch():
    noise = (samples.noise(1) * 32767).astype(np.int16)
    assert [median_pitch_hz(voiced(sound)) for sound in (noise, np.zeros_like(noise), noise[:100])] == [0, 0, 0]


@pytest.mark.parametrize(
    ("pitch_hz", "expected"),
    [(0, Gender.UNKNOWN), (110, Gender.MALE), (157, Gender.UNKNOWN), (200, Gender.FEMALE)],
)
def test_a_pitch_between_the_genders_has_none(pitch_hz, expected):
    assert gender(pitch_hz) == expected


def test_the_features_are_those_of_the_models_training():
    """The values are librosa's for this tone (`melspectrogram`, Hamming window, `center=False`), as decadic logs."""
    tone = (np.sin(2 * np.pi * 1000 * np.arange(2000) / samples.RATE) * 16384).astype(np.int16)
    assert log_mel(tone)[0, [9, 10, 12, 13, 39]] == pytest.approx([-2.6964, -2.4344, 1.4572, 1.5757, -5.9820], abs=1e-3)


async def test_without_the_package_one_speaker_serves_and_the_list_names_the_package(monkeypatch):
    absent = replace(D_VECTOR, modules=("voicefilter_absent",), packages={"voicefilter_absent": "open-voicefilter"})
    monkeypatch.setattr(speakers, "D_VECTOR", absent)
    engines = diarization_engines(AsrSettings(asr_diarization_engines=("speakers", "single")))
    described, single = await engines.describe()
    assert "“open-voicefilter”" in described.missing
    assert single.available
    [candidate] = await engines.candidates("", lambda _: True, InvalidInput("none", reason="none"))
    assert candidate.capabilities.info.name == "single"


def test_weights_with_another_hash_are_not_loaded(monkeypatch):
    [file] = D_VECTOR.files
    monkeypatch.setattr(speakers_model, "D_VECTOR", replace(D_VECTOR, files=(replace(file, sha256="0" * 64),)))
    with pytest.raises(PreconditionFailed) as caught:
        speakers_model.SpeakerModel()
    assert caught.value.reason == "engine_unavailable"
