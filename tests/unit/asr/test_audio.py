"""Reading WAV and FLAC piece by piece."""

from __future__ import annotations

import numpy as np
import pytest

from onevoice_kit.errors import InvalidInput, NotFound
from services.asr.audio import AudioFile
from tests.unit.asr import samples

RAMP = np.arange(32_000) / 32_768 - 0.5


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_blocks_give_the_whole_content(tmp_path, suffix):
    with AudioFile(samples.write(tmp_path / f"a.{suffix}", RAMP)) as audio:
        blocks = list(audio.blocks(5000))
    assert [block.size for block in blocks] == [5000] * 6 + [2000]
    np.testing.assert_allclose(np.concatenate(blocks) / 32_768, RAMP, atol=1e-4)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_range_is_exact_to_the_sample(tmp_path, suffix):
    with AudioFile(samples.write(tmp_path / f"a.{suffix}", RAMP)) as audio:
        part = audio.range(500, 750)
    np.testing.assert_allclose(part / 32_768, RAMP[8000:12_000], atol=1e-4)


def test_a_range_past_the_end_is_shorter_and_one_after_it_is_empty(tmp_path):
    with AudioFile(samples.write(tmp_path / "a.wav", RAMP)) as audio:
        assert audio.range(1900, 2500).size == 1600
        assert audio.range(5000, 6000).size == 0


def test_the_length_is_known_before_reading(tmp_path):
    with AudioFile(samples.write(tmp_path / "a.flac", RAMP)) as audio:
        assert audio.size_ms == 2000


@pytest.mark.parametrize(
    ("sound", "options", "named"),
    [
        (RAMP, {"rate": 44_100}, "44100"),
        (np.stack([RAMP, RAMP], axis=1), {}, "2 channels"),
    ],
)
def test_another_rate_or_more_channels_are_refused(tmp_path, sound, options, named):
    path = samples.write(tmp_path / "a.wav", sound, **options)
    with pytest.raises(InvalidInput) as caught:
        AudioFile(path)
    assert caught.value.reason == "unsupported_audio"
    assert named in caught.value.message


def test_another_container_is_refused(tmp_path):
    path = tmp_path / "a.aiff"
    samples.write(path, RAMP)
    with pytest.raises(InvalidInput) as caught:
        AudioFile(path)
    assert caught.value.reason == "unsupported_audio"


@pytest.mark.parametrize("content", [b"", b"not audio at all", b"RIFF\x00\x00\x00\x00WAVE"])
def test_what_is_not_audio_is_refused(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        AudioFile(path)
    assert caught.value.reason == "invalid_audio"


def test_a_flac_that_does_not_say_its_length_is_refused(tmp_path):
    path = samples.write(tmp_path / "a.flac", RAMP)
    data = bytearray(path.read_bytes())
    # STREAMINFO: the number of samples is the low 36 bits of the 8 bytes at offset 18; 0 means unknown.
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    with pytest.raises(InvalidInput) as caught:
        AudioFile(path)
    assert caught.value.reason == "unsupported_audio"


def test_a_flac_damaged_in_the_middle_does_not_pass_as_silence(tmp_path):
    path = samples.write(tmp_path / "a.flac", samples.noise(4))
    path.write_bytes(path.read_bytes()[:20_000])
    with AudioFile(path) as audio, pytest.raises(InvalidInput) as caught:
        list(audio.blocks(16_000))
    assert caught.value.reason == "invalid_audio"


def test_a_file_that_has_gone_is_not_found(tmp_path):
    with pytest.raises(NotFound) as caught:
        AudioFile(tmp_path / "gone.wav")
    assert caught.value.reason == "object_not_found"
