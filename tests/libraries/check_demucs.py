"""The engine `demucs` with the real library, on a tiny model that the test makes: `make test-demucs`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from onevoice_kit.errors import PreconditionFailed
from services.asr.engines.base import Stems
from services.asr.engines.registry import separation_engines
from services.asr.settings import AsrSettings
from services.asr.stereo import RATE
from tests.libraries import tiny_demucs


def engine(model: Path | str):
    settings = AsrSettings(
        asr_workers=2, asr_separation_engines=("demucs",), demucs_model=str(model), demucs_device="cpu"
    )
    return separation_engines(settings).get("demucs")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_demucs.htdemucs(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture
def programme(tmp_path: Path) -> Path:
    """37 s: two pieces."""
    at = np.arange(37 * RATE + 5) / RATE
    sound = 0.2 * np.sin(2 * np.pi * 220 * at) + np.random.default_rng(1).uniform(-0.1, 0.1, len(at))
    path = tmp_path / "programme.flac"
    soundfile.write(path, np.column_stack([sound, sound / 2]), RATE, subtype="PCM_16")
    return path


def stems(folder: Path) -> Stems:
    folder.mkdir()
    return Stems(folder / "background.flac", folder / "voice.flac")


async def test_the_stems_are_those_of_the_model_as_long_as_the_programme_and_the_same_each_time(
    model, programme, tmp_path
):
    made = [stems(tmp_path / name) for name in ("one", "two")]
    shares: list[float] = []
    for one in made:
        await engine(model).separate(programme, one, shares.append)
    assert shares[:2] == [pytest.approx(30 / 37, abs=0.01), 1]
    assert made[0].background.read_bytes() == made[1].background.read_bytes()
    sound, _ = soundfile.read(programme)
    background, rate = soundfile.read(made[0].background)
    voice, low_rate = soundfile.read(made[0].voice)
    assert (rate, low_rate, background.shape, len(voice)) == (RATE, 16_000, sound.shape, -(-len(sound) // 3))
    assert np.abs(background - sound).max() > 1e-3, "something is taken out"
    assert np.corrcoef((sound - background).mean(axis=1)[::3], voice)[0, 1] > 0.3, "and it is the voice"


async def test_a_model_that_cannot_be_loaded_or_has_no_voice_is_named(model, programme, tmp_path):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no weights")
    silent = tiny_demucs.htdemucs(tmp_path / "silent.safetensors", ("drums", "bass", "other", "piano"))
    for number, path in enumerate((broken, silent)):
        with pytest.raises(PreconditionFailed, match=path.name) as caught:
            await engine(path).separate(programme, stems(tmp_path / str(number)), lambda _: None)
        assert caught.value.reason == "engine_unavailable"


async def test_the_identity_names_the_file_and_its_content(model, tmp_path):
    described = await engine(model).describe()
    assert described.available
    assert described.info.model.startswith("tiny ")
    assert described.info.version == "4.1.0"
    assert "DEMUCS_MODEL" in (await engine("").describe()).missing
    assert "none.safetensors" in (await engine(tmp_path / "none.safetensors").describe()).missing
