"""`python -m bench.round_trip [ENGINE …]`: errors of lines that an engine speaks and Whisper base recognises."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Sequence

import numpy as np
from scipy.signal import resample_poly

from services.asr.engines.whisper_model import MODELS, Loading, WhisperModel
from services.tts.engines.base import Line, SynthesisEngine, Voice
from services.tts.engines.registry import synthesis_engines, voices_for
from services.tts.normalisation.text import spoken
from services.tts.normalisation.words import LANGUAGES as NORMALISED
from services.tts.settings import TtsSettings
from tests.unit.asr import samples

LINES = {
    "en-US": (
        "The quarterly report shows that revenue grew faster than anyone on the board had expected.",
        "If you want to understand the weather in the mountains, you should talk to the shepherds first.",
        "And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country.",
        "The train to the coast leaves at noon, so we should buy the tickets this morning.",
        "My grandmother kept her letters in a wooden box under the stairs.",
        "Nobody had seen the bridge before the fog lifted from the river.",
        "Please turn off the lights when you leave the kitchen, because the lamp gets very hot.",
        "The doctor explained that the wound would heal without leaving a mark.",
    ),
    "es": (
        "El informe trimestral muestra que los ingresos crecieron más rápido de lo que todos esperaban.",
        "Si quieres entender el tiempo en las montañas, primero debes hablar con los pastores.",
        "La biblioteca cierra por la tarde, pero el jardín queda abierto hasta la noche.",
        "El tren a la costa sale al mediodía, así que deberíamos comprar los billetes esta mañana.",
        "Mi abuela guardaba sus cartas en una caja de madera debajo de la escalera.",
        "Nadie había visto el puente antes de que la niebla se levantara del río.",
        "Apaga las luces cuando salgas de la cocina, porque la lámpara se calienta mucho.",
        "El médico explicó que la herida sanaría sin dejar ninguna marca.",
    ),
    "fr": (
        "Le rapport montre que les revenus ont augmenté plus vite que prévu.",
        "Si vous voulez comprendre le temps en montagne, parlez d'abord avec les bergers.",
        "La bibliothèque ferme ce soir, mais le jardin reste ouvert jusqu'à la nuit.",
        "Le train pour la côte part à midi, nous devrions donc acheter les billets ce matin.",
        "Ma grand-mère gardait ses lettres dans une boîte en bois sous l'escalier.",
        "Personne n'avait vu le pont avant que le brouillard ne se lève sur la rivière.",
        "Éteignez les lumières quand vous quittez la cuisine, car la lampe devient très chaude.",
        "Le médecin a expliqué que la blessure guérirait sans laisser de trace.",
    ),
    "it": (
        "Il rapporto mostra che i ricavi sono cresciuti più velocemente del previsto.",
        "Se vuoi capire il tempo in montagna, devi prima parlare con i pastori.",
        "La biblioteca chiude di sera, ma il giardino resta aperto fino a notte.",
        "Il treno per la costa parte a mezzogiorno, quindi dovremmo comprare i biglietti questa mattina.",
        "Mia nonna teneva le sue lettere in una scatola di legno sotto le scale.",
        "Nessuno aveva visto il ponte prima che la nebbia si alzasse dal fiume.",
        "Spegni le luci quando esci dalla cucina, perché la lampada diventa molto calda.",
        "Il medico ha spiegato che la ferita sarebbe guarita senza lasciare segni.",
    ),
    "pt-BR": (
        "O relatório mostra que a receita cresceu mais rápido do que todos esperavam.",
        "Se você quer entender o tempo nas montanhas, primeiro deve falar com os pastores.",
        "A biblioteca fecha à noite, mas o jardim fica aberto até tarde.",
        "O trem para o litoral sai ao meio-dia, então devemos comprar as passagens esta manhã.",
        "Minha avó guardava suas cartas em uma caixa de madeira debaixo da escada.",
        "Ninguém tinha visto a ponte antes que a neblina subisse do rio.",
        "Apague as luzes quando sair da cozinha, porque a lâmpada fica muito quente.",
        "O médico explicou que a ferida ia sarar sem deixar marca.",
    ),
    "de": (
        "Der Bericht zeigt, dass die Einnahmen schneller gewachsen sind als erwartet.",
        "Wenn du das Wetter in den Bergen verstehen willst, sprich zuerst mit den Hirten.",
    ),
    "ca": (
        "L'informe mostra que els ingressos han crescut més de pressa del que tothom esperava.",
        "La biblioteca tanca a la tarda, però el jardí queda obert fins a la nit.",
    ),
    "ja": (
        "図書館は夕方に閉まりますが、庭は夜まで開いています。",
        "山の天気を知りたければ、まず地元の人に話を聞いてください。",
        "報告書によると、売り上げは予想より早く伸びました。",
        "海へ行く電車は正午に出るので、今朝切符を買いましょう。",
        "祖母は手紙を階段の下の木の箱にしまっていました。",
    ),
    "zh": (
        "图书馆下午关门，但是花园一直开放到晚上。",
        "如果你想了解山里的天气，应该先和当地人谈一谈。",
        "报告显示，公司的收入增长得比大家预期的更快。",
        "去海边的火车中午出发，所以我们今天早上应该买票。",
        "我奶奶把她的信放在楼梯下面的木箱子里。",
    ),
}
SIGNS = {
    "en-US": (
        "The meeting on 3 March 2026 starts at 14:30 and costs $1,250.50.",
        "Dr. Smith ran 5 km in 25 min at -5 °C on January 21, 1998.",
        "About 3.5% of 1,234,567 people visited example.com.",
    ),
    "es": (
        "La reunión del 3 de marzo de 2026 empieza a las 14:30 y cuesta 1.250,50 €.",
        "El Sr. López corrió 5 km en 25 min a -5 °C el 21 de mayo.",
        "Un 3,5 % de 1.234.567 personas visitó example.com.",
    ),
    "fr": (
        "La réunion du 3 mars 2026 commence à 14 h 30 et coûte 1 250,50 €.",
        "M. Dupont a couru 5 km en 25 min à -5 °C le 1er mai.",
        "Environ 3,5 % de 1 234 567 personnes ont visité example.com.",
    ),
    "it": (
        "La riunione del 3 marzo 2026 comincia alle 14:30 e costa 1.250,50 €.",
        "Il sig. Rossi ha corso 5 km in 25 min a -5 °C il 21 maggio.",
        "Circa il 3,5 % di 1.234.567 persone ha visitato example.com.",
    ),
    "pt-BR": (
        "A reunião de 3 de março de 2026 começa às 14:30 e custa R$ 1.250,50.",
        "O Sr. Silva correu 5 km em 25 min a -5 °C no dia 21 de maio.",
        "Cerca de 3,5% de 1.234.567 pessoas visitaram example.com.",
    ),
    "de": (
        "Die Sitzung am 3. März 2026 beginnt um 14:30 Uhr und kostet 1.250,50 €.",
        "Dr. Müller lief am 21. Mai bei -5 °C 5 km in 25 Min.",
    ),
    "ca": (
        "La reunió del 3 de març de 2026 comença a les 14:30 i costa 1.250,50 €.",
        "El Sr. Puig va córrer 5 km en 25 min a -5 °C el 21 de maig.",
    ),
    "ja": ("会議は2026年3月3日の14時30分からで、費用は1250円です。",),
    "zh": ("会议于2026年3月3日14点30分开始，费用为1250元。",),
}
"""Lines with numbers, dates, times, money, units and abbreviations."""
_VOICES = 2
_EMBEDDED = ("kokoro", "hibari", "espeak")
_SHOW = bool(os.environ.get("SHOW"))
"""Prints each line and what was recognised."""
_BY_CHARACTER = ("ja", "zh")
"""Languages without spaces: their errors are counted in characters."""


def _words(text: str, language: str) -> list[str]:
    """The words to compare: both sides as they are spoken, so that “5 km” equals “cinco kilómetros”."""
    found = re.findall(r"[\w']+", spoken(text, language).lower())
    return list("".join(found)) if language in _BY_CHARACTER else found


def _recognised(model: WhisperModel, spoken: bytes, rate: int, language: str) -> list[str]:
    sound = resample_poly(np.frombuffer(spoken, "<i2").astype(np.float64), samples.RATE, rate)
    padded = np.pad(np.clip(sound, -32_767, 32_767), samples.RATE // 5).astype(np.int16)
    [found] = model.words([padded], language)
    return _words(" ".join(word.text for word in found), language)


async def measure(name: str, model: WhisperModel) -> None:
    """Prints one row for each language and kind of line."""
    engine = synthesis_engines(TtsSettings(tts_engines=(name,), tts_workers=1)).get(name)
    described = await engine.describe()
    for language, plain in LINES.items():
        voices = voices_for(described.voices, language)[:_VOICES]
        kinds = {"plain": plain, "signs": SIGNS[language]}
        if language.partition("-")[0] in NORMALISED and not described.normalises:
            kinds["as words"] = tuple(spoken(line, language) for line in SIGNS[language])
        for kind, lines in kinds.items() if voices else ():
            row = await _row(engine, described.sample_rate, model, voices, lines)
            print(f"{name:10}{language:8}{kind:10}{len(voices):8}{row}", flush=True)
    await engine.close()


async def _row(
    engine: SynthesisEngine, rate: int, model: WhisperModel, voices: Sequence[Voice], lines: Sequence[str]
) -> str:
    errors, words, seconds, cost = 0, 0, 0.0, 0.0
    for voice in voices:
        language = voice.language.partition("-")[0]
        for line in lines:
            began = time.process_time()
            sound = await engine.speak(Line(line, voice))
            cost += time.process_time() - began
            seconds += len(sound) / 2 / rate
            expected, got = _words(line, language), _recognised(model, sound, rate, language)
            if _SHOW:
                print(f"  {line}\n  {' '.join(got)}")
            errors, words = errors + samples.word_errors(expected, got), words + len(expected)
    return f"{words:8}{errors / words:9.1%}{cost / seconds:9.2f}"


def main() -> None:
    """Measures the engines named, or all embedded ones; time is that of this process, without programs it starts."""
    print(f"{'engine':10}{'speaks':8}{'lines':10}{'voices':>8}{'words':>8}{'errors':>9}{'CPU s/s':>9}", flush=True)
    model = MODELS.get(Loading("", "cpu", "", 1))
    for name in sys.argv[1:] or _EMBEDDED:
        asyncio.run(measure(name, model))


if __name__ == "__main__":
    main()
