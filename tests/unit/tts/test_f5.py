"""The engine `f5` without its library: its voices and the length of a line; `tests/libraries` has the rest."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest

from onevoice_kit.errors import PreconditionFailed
from services.tts.engines.base import Gender
from services.tts.engines.f5 import create, references
from services.tts.engines.f5_model import Reference, natural_s, wanted_s
from services.tts.settings import TtsSettings

REFERENCE = Reference(Path("ana.wav"), "Twenty bytes of text", 2.0)
"""With the full stop and the space that the library wants, 22 bytes in 2 s."""


def write(folder: Path, name: str, seconds: float = 2.0, words: str | None = "A bird sang.") -> None:
    with wave.open(str(folder / f"{name}.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(round(seconds * 32_000)))
    if words is not None:
        (folder / f"{name}.txt").write_text(words)


def test_a_line_is_as_long_as_its_share_of_the_reference():
    assert natural_s("x" * 22, REFERENCE) == pytest.approx(2.0)
    assert natural_s("é" * 11, REFERENCE) == pytest.approx(2.0), "bytes count"
    assert natural_s("x" * 9, REFERENCE) == pytest.approx(9 / 11 / 0.3), "a short text is spoken slowly"


@pytest.mark.parametrize(
    ("rate", "wanted_ms", "expected"),
    [
        (1.0, 0, 2.0),
        (2.0, 0, 1.0),
        (1.0, 1_900, 1.9),
        (1.0, 2_150, 2.15),
        (1.0, 100, 1.6),
        (1.0, 9_000, 2 / 0.9),
    ],
)
def test_a_wanted_length_is_kept_within_the_rates_of_a_dub(rate, wanted_ms, expected):
    assert wanted_s("x" * 22, REFERENCE, rate, wanted_ms) == pytest.approx(expected)


def test_a_voice_is_a_sound_and_its_words(tmp_path):
    write(tmp_path, "ana.female")
    write(tmp_path, "bob")
    write(tmp_path, "mute", words=None)
    write(tmp_path, "blank", words=" ")
    write(tmp_path, "short", seconds=0.5)
    write(tmp_path, "long", seconds=13)
    write(tmp_path, "two words")
    (tmp_path / "noise.wav").write_bytes(b"this is no sound")
    found, problems = references(tmp_path)
    assert [(name, one.seconds, one.gender) for name, one in found.items()] == [
        ("ana", 2.0, "female"),
        ("bob", 2.0, ""),
    ]
    assert sorted(problem.split()[2] for problem in problems) == [
        "blank.wav",
        "long.wav",
        "mute.wav",
        "noise.wav",
        "short.wav",
        "two",
    ]
    assert references(None) == ({}, [])


async def test_without_its_library_it_names_the_extra_and_refuses(tmp_path):
    write(tmp_path, "ana.female")
    engine = create(TtsSettings(tts_engines=("f5",), f5_voices=tmp_path))
    described = await engine.describe()
    assert "onevoice[f5]" in described.missing
    assert {voice.gender for voice in described.voices} == {Gender.FEMALE}
    with pytest.raises(PreconditionFailed) as caught:
        await engine.warm()
    assert caught.value.reason == "engine_unavailable"
    await engine.close()
