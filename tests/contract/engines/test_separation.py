"""The contract of engines that separate voice and background."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from onevoice_kit.errors import InvalidInput, NotFound, PreconditionFailed
from services.asr.engines.base import Stems
from services.asr.stereo import RATE
from tests.unit.asr import samples

KIND = "separation"


def wide(sound: samples.Sound) -> np.ndarray:
    """A sound of 16 kHz as one of 48 kHz: its spectrum with nothing above."""
    spectrum = np.fft.rfft(sound)
    return np.fft.irfft(np.pad(spectrum, (0, len(spectrum) * 2)), len(sound) * 3) * 3


@pytest.fixture
def stems(tmp_path: Path) -> Stems:
    return Stems(tmp_path / "background.flac", tmp_path / "voice.flac")


def stored(folder: Path, sound: np.ndarray, rate: int = RATE, name: str = "programme.flac") -> Path:
    return samples.write(folder / name, sound, rate)


async def separated(engine, programme: Path, stems: Stems) -> tuple[np.ndarray, np.ndarray] | None:
    """The background and the voice; None for the engine that leaves everything as it is, which refuses."""
    shares: list[float] = []
    if not engine.separates:
        with pytest.raises(PreconditionFailed):
            await engine.separate(programme, stems, shares.append)
        return None
    await engine.separate(programme, stems, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    (background, rate), (voice, low_rate) = soundfile.read(stems.background), soundfile.read(stems.voice)
    assert (rate, low_rate) == (RATE, 16_000)
    return background, voice


def level_db(sound: np.ndarray, of: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(sound**2) / np.mean(of**2)))


async def test_the_voice_leaves_the_music_which_stays(engine, stems, tmp_path):
    voice = wide(samples.reading(samples.NAMES[1], pause_s=0.5))
    music = wide(samples.music(6, 0.02))[: len(voice)]
    voice = voice[: len(music)]
    programme = stored(tmp_path, np.column_stack([voice + music, voice + music]))
    found = await separated(engine, programme, stems)
    if found is None:
        return
    background, taken = found
    assert background.shape == (len(voice), 2)
    assert len(taken) == -(-len(voice) // 3)
    (left_of_voice, left_of_music), *_ = np.linalg.lstsq(np.column_stack([voice, music]), background[:, 0])
    assert 20 * np.log10(abs(left_of_voice)) < -15, "ducking takes 22 dB of both"
    assert 20 * np.log10(abs(left_of_music)) > -6
    assert np.corrcoef(taken[: len(voice) // 3], voice[: len(voice) // 3 * 3 : 3])[0, 1] > 0.9


async def test_silence_stays_silence_of_the_same_length(engine, stems, tmp_path):
    found = await separated(engine, stored(tmp_path, np.zeros((RATE + 7, 2))), stems)
    if found is not None:
        assert found[0].shape == (RATE + 7, 2)
        assert not found[0].any()
        assert not found[1].any()


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda path: path.write_bytes(b"no sound at all" * 100), "invalid_audio"),
        (lambda path: path.write_bytes(b""), "invalid_audio"),
        (lambda path: samples.write(path, np.zeros((0, 2)), RATE), "invalid_audio"),
        (lambda path: samples.write(path, np.zeros((800, 2))), "unsupported_audio"),
        (lambda path: samples.write(path, np.zeros(800), RATE), "unsupported_audio"),
    ],
    ids=["garbage", "an empty file", "no samples", "16 kHz", "mono"],
)
async def test_a_programme_that_is_none_is_refused(engine, stems, tmp_path, write, reason):
    path = tmp_path / "programme.flac"
    write(path)
    if not engine.separates:
        return
    with pytest.raises(InvalidInput) as caught:
        await engine.separate(path, stems, lambda _: None)
    assert caught.value.reason == reason


async def test_a_programme_that_has_gone_is_not_found(engine, stems, tmp_path):
    if engine.separates:
        with pytest.raises(NotFound):
            await engine.separate(tmp_path / "none.flac", stems, lambda _: None)


async def test_a_cancelled_separation_ends_its_processes(engine, stems, tmp_path):
    programme = stored(tmp_path, np.zeros((160 * RATE, 2)), name="programme.wav")
    if not engine.separates:
        return
    before, begun = {child.pid for child in psutil.Process().children()}, asyncio.Event()
    running = asyncio.create_task(engine.separate(programme, stems, lambda _: begun.set()))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    left = [child for child in psutil.Process().children() if child.pid not in before]
    assert [child for child in left if "spawn_main" in " ".join(child.cmdline())] == []
