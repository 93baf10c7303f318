"""The engine `f5` with the real library, on tiny models that the test makes: `make test-f5`."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from onevoice_kit.errors import InvalidInput, Unavailable
from onevoice_kit.testing.waiting import eventually
from services.tts.engines import f5_model
from services.tts.engines.base import Gender, Line
from services.tts.engines.f5 import references
from services.tts.engines.f5_model import natural_s
from services.tts.engines.registry import synthesis_engines
from services.tts.settings import TtsSettings
from tests.libraries import tiny_f5

TEXT = "The window was open and the garden smelled of rain."
LONG = " ".join([TEXT] * 12)


@pytest.fixture(scope="session")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two voices, at another rate than the model's, and a sound without words."""
    folder = tmp_path_factory.mktemp("voices")
    for name, pitch in (("ana.female", 210), ("bob", 110), ("mute", 100)):
        time = np.arange(3 * 16_000) / 16_000
        soundfile.write(folder / f"{name}.wav", 0.2 * np.sin(2 * np.pi * pitch * time), 16_000)
    (folder / "ana.female.txt").write_text("A bird sang in the old tree by the river.")
    (folder / "bob.txt").write_text("The train leaves in the morning")
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, voices: Path) -> TtsSettings:
    folder = tmp_path_factory.mktemp("models")
    os.environ["HF_HUB_OFFLINE"] = "1"
    config, weights, vocabulary = tiny_f5.model(folder / "model")
    return TtsSettings(
        tts_engines=("f5",),
        f5_voices=voices,
        f5_languages=("en",),
        f5_model=str(config),
        f5_checkpoint=str(weights),
        f5_vocabulary=str(vocabulary),
        f5_vocoder=str(tiny_f5.vocoder(folder / "vocoder")),
        f5_device="cpu",
        f5_steps=2,
    )


@pytest.fixture
async def engine(models):
    made = synthesis_engines(models).get("f5")
    yield made
    await made.close()


async def spoken(engine, text=TEXT, voice=0, **options):
    return await engine.speak(Line(text, (await engine.describe()).voices[voice], **options))


async def seconds(engine, **options):
    return len(await spoken(engine, **options)) / 2 / f5_model.SAMPLE_RATE


async def test_the_voices_are_the_references_and_part_of_the_identity(engine, models, voices, tmp_path):
    described = await engine.describe()
    assert (described.available, described.exact) == (True, True)
    assert [(one.name, one.language, one.gender) for one in described.voices] == [
        ("ana", "en", Gender.FEMALE),
        ("bob", "en", Gender.UNKNOWN),
    ]
    assert "mute.wav" in described.partly_missing
    assert (described.info.name, described.info.model) == ("f5", "tiny")
    assert described.info.version.startswith("1.1.22-")
    for file in voices.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "bob.txt").write_text("Other words.")
    other = synthesis_engines(models.model_copy(update={"f5_voices": tmp_path})).get("f5")
    assert (await other.describe()).info.identity != described.info.identity


@pytest.mark.parametrize("text", ["Yes.", TEXT, LONG])
async def test_a_line_has_exactly_the_length_that_its_rate_gives(engine, voices, text):
    reference = references(voices)[0]["ana"]
    for rate in (0.8, 1.0, 1.13):
        expected = natural_s(text, reference) / rate
        assert await seconds(engine, text=text, rate=rate) == pytest.approx(expected, abs=1 / f5_model.SAMPLE_RATE)


async def test_a_line_has_exactly_the_wanted_length_within_the_rates_of_a_dub(engine, voices):
    natural = natural_s(TEXT, references(voices)[0]["ana"])
    for wanted_ms in (round(natural * 1000), round(natural * 1000) - 137, round(natural * 1000) + 61):
        assert await seconds(engine, wanted_ms=wanted_ms) == pytest.approx(wanted_ms / 1000, abs=1 / 24_000)
    assert await seconds(engine, wanted_ms=1) == pytest.approx(natural / 1.25, abs=0.001)
    assert await seconds(engine, wanted_ms=60_000) == pytest.approx(natural / 0.9, abs=0.001)


async def test_every_part_of_a_line_has_sound(engine):
    samples = np.frombuffer(await spoken(engine), "<i2")
    assert all(np.abs(part).max() > 0 for part in np.array_split(samples, 20))


async def test_the_same_line_has_the_same_samples_and_each_voice_its_own(engine):
    first = await spoken(engine)
    assert await spoken(engine) == first
    assert await spoken(engine, voice=1) != first


async def test_the_model_is_loaded_once_and_shared(models, monkeypatch):
    loads, load = [], f5_model._load

    def counted(loading):
        loads.append(loading)
        return load(loading)

    monkeypatch.setattr(f5_model, "_load", counted)
    one, other = synthesis_engines(models).get("f5"), synthesis_engines(models).get("f5")
    await one.warm()
    await other.warm()
    assert len(loads) == 1
    await one.close()
    await other.close()


async def test_a_cancelled_line_begins_no_further_part_beside_the_event_loop(engine, monkeypatch):
    await engine.warm()
    begun, hold, parts, names = threading.Event(), threading.Event(), [], set()
    part = f5_model.F5Model._part

    def held(self, *args):
        names.add(threading.current_thread().name)
        parts.append(args)
        begun.set()
        hold.wait(60)
        return part(self, *args)

    monkeypatch.setattr(f5_model.F5Model, "_part", held)
    call = asyncio.create_task(spoken(engine, text=LONG))
    await eventually(begun.is_set)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    hold.set()
    await engine.close()
    assert len(parts) == 1
    assert all(name.startswith("f5") for name in names)


async def test_what_is_spoken_is_not_printed(engine, caplog, capfd):
    await spoken(engine)
    shown = capfd.readouterr()
    assert not any(word in caplog.text + shown.out + shown.err for word in ("window", "bird"))


async def test_a_model_that_is_not_there_is_an_error_that_may_pass(models, tmp_path):
    engine = synthesis_engines(models.model_copy(update={"f5_checkpoint": str(tmp_path / "no.safetensors")})).get("f5")
    with pytest.raises(Unavailable) as caught:
        await engine.warm()
    assert caught.value.reason == "engine_failed"
    await engine.close()


async def test_a_voice_whose_reference_has_gone_is_refused(engine, models, tmp_path):
    [voice, _] = (await engine.describe()).voices
    other = synthesis_engines(models.model_copy(update={"f5_voices": tmp_path})).get("f5")
    assert "F5_VOICES" in (await other.describe()).missing
    with pytest.raises(InvalidInput) as caught:
        await other.speak(Line(TEXT, voice))
    assert caught.value.reason == "unknown_voice"
    await other.close()
