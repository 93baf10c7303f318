"""`python -m bench.round_trip [ENGINE …]`: word errors of lines that an engine speaks and Whisper base recognises."""

from __future__ import annotations

import asyncio
import re
import sys
import time

import numpy as np
from scipy.signal import resample_poly

from services.asr.engines.whisper_model import MODELS, Loading, WhisperModel
from services.tts.engines.registry import ENGINES, synthesis_engines, voices_for
from services.tts.settings import TtsSettings
from tests.unit.asr import samples

LINES = {
    "en-US": (
        "The quarterly report shows that revenue grew faster than anyone on the board had expected.",
        "If you want to understand the weather in the mountains, you should talk to the shepherds first.",
        "And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country.",
    ),
    "es": (
        "El informe trimestral muestra que los ingresos crecieron más rápido de lo que todos esperaban.",
        "Si quieres entender el tiempo en las montañas, primero debes hablar con los pastores.",
        "La biblioteca cierra por la tarde, pero el jardín queda abierto hasta la noche.",
    ),
    "fr": (
        "Le rapport montre que les revenus ont augmenté plus vite que prévu.",
        "Si vous voulez comprendre le temps en montagne, parlez d'abord avec les bergers.",
        "La bibliothèque ferme ce soir, mais le jardin reste ouvert jusqu'à la nuit.",
    ),
    "it": (
        "Il rapporto mostra che i ricavi sono cresciuti più velocemente del previsto.",
        "Se vuoi capire il tempo in montagna, devi prima parlare con i pastori.",
        "La biblioteca chiude di sera, ma il giardino resta aperto fino a notte.",
    ),
    "pt-BR": (
        "O relatório mostra que a receita cresceu mais rápido do que todos esperavam.",
        "Se você quer entender o tempo nas montanhas, primeiro deve falar com os pastores.",
        "A biblioteca fecha à noite, mas o jardim fica aberto até tarde.",
    ),
}
_VOICES = 2


def _words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def _recognised(model: WhisperModel, spoken: bytes, rate: int, language: str) -> list[str]:
    sound = resample_poly(np.frombuffer(spoken, "<i2").astype(np.float64), samples.RATE, rate)
    padded = np.pad(np.clip(sound, -32_767, 32_767), samples.RATE // 5).astype(np.int16)
    [found] = model.words([padded], language)
    return _words(" ".join(word.text for word in found))


async def measure(name: str, model: WhisperModel) -> None:
    """Prints one row for each language."""
    engine = synthesis_engines(TtsSettings(tts_engines=(name,), tts_workers=1)).get(name)
    described = await engine.describe()
    for language, lines in LINES.items():
        errors, words, seconds, cost = 0, 0, 0.0, 0.0
        voices = voices_for(described.voices, language)[:_VOICES]
        for voice in voices:
            for line in lines:
                began = time.process_time()
                spoken = await engine.speak(line, voice, 1.0)
                cost += time.process_time() - began
                seconds += len(spoken) / 2 / described.sample_rate
                expected = _words(line)
                got = _recognised(model, spoken, described.sample_rate, language.partition("-")[0])
                errors, words = errors + samples.word_errors(expected, got), words + len(expected)
        print(f"{name:10}{language:8}{len(voices):8}{words:8}{errors / words:9.1%}{cost / seconds:9.2f}", flush=True)
    await engine.close()


def main() -> None:
    """Measures the engines named, or all; time is that of this process, without programs that it starts."""
    print(f"{'engine':10}{'speaks':8}{'voices':>8}{'words':>8}{'errors':>9}{'CPU s/s':>9}", flush=True)
    model = MODELS.get(Loading("", "cpu", "", 1))
    for name in sys.argv[1:] or ENGINES:
        asyncio.run(measure(name, model))


if __name__ == "__main__":
    main()
