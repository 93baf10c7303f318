"""`python -m bench.separation`: what a separator leaves of the voice and of the music, beside what ducking leaves."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from services.asr.engines.base import Stems
from services.asr.engines.registry import separation_engines
from services.asr.settings import AsrSettings
from services.asr.stereo import RATE
from services.orchestrator.settings import OrchestratorSettings
from tests.unit.asr import samples

_LEVEL = 0.07
_HEADINGS = ("programme", "voice left", "music left", "not music", "CPU s/s")


def _wide(sound: samples.Sound) -> samples.Sound:
    """A sound of 16 kHz at 48 kHz."""
    found: samples.Sound = resample_poly(sound, RATE // samples.RATE, 1)
    return found


def _speech() -> samples.Sound:
    """Five read sentences, all at one level."""
    parts = [samples.speech(name) for name in samples.NAMES]
    return _wide(np.concatenate([part * (_LEVEL / np.sqrt(np.mean(part**2))) for part in parts]))


BEDS: dict[str, Callable[[float, float], samples.Sound]] = {"music": samples.music, "noise": samples.noise}
CLIPS = [("speech alone", "music", None), *((f"{bed} {db} dB below", bed, db) for bed in BEDS for db in (20, 10, 0))]


def left(background: samples.Sound, voice: samples.Sound, music: samples.Sound) -> tuple[float, float, float]:
    """
    Gains of the voice and of the music in a background, dB, by least squares; and the level of all that is not the
    music in it, that is of the voice and of what the separation has damaged, against the voice, dB.
    """
    (of_voice, of_music), *_ = np.linalg.lstsq(np.stack([voice, music], axis=1), background)
    rest = background - of_music * music
    return _db(of_voice**2), _db(of_music**2), _db(float(np.mean(rest**2) / np.mean(voice**2)))


def _db(power: float) -> float:
    return float(10 * np.log10(max(power, 1e-10)))


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def measure(name: str) -> None:
    """Prints one row for each programme: under a line with this separator, at the gain that it has there."""
    engine = separation_engines(AsrSettings(asr_workers=1, asr_separation_engines=(name,))).get(name)
    voice, gain_db = _speech(), OrchestratorSettings.model_fields["separated_gain_db"].default
    seconds = len(voice) / RATE
    print(f"{_HEADINGS[0]:20}" + "".join(f"{heading:>12}" for heading in _HEADINGS[1:]))
    for title, bed, below_db in CLIPS:
        music = _wide(BEDS[bed](seconds, _LEVEL * 10 ** (-(below_db or 0) / 20)))[: len(voice)]
        mono = voice if below_db is None else voice + music
        with tempfile.TemporaryDirectory() as folder:
            stems = Stems(Path(folder) / "background.flac", Path(folder) / "voice.flac")
            path = samples.write(Path(folder) / "programme.flac", np.stack([mono, mono], axis=1), RATE)
            before = _processor_s()
            await engine.separate(path, stems, lambda _: None)
            cost = (_processor_s() - before) / seconds
            background = soundfile.read(stems.background)[0][:, 0] * 10 ** (gain_db / 20)
        of_voice, of_music, rest = left(background, voice, music)
        shown = "–" if below_db is None else f"{of_music:.1f}"
        print(f"{title:20}{of_voice:12.1f}{shown:>12}{rest:12.1f}{cost:12.2f}", flush=True)
    await engine.close()


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    asyncio.run(measure(sys.argv[1] if len(sys.argv) > 1 else "deepfilter"))
