"""The contract of synthesis engines."""

from __future__ import annotations

import asyncio

import pytest

from services.tts.audio import trim
from services.tts.engines.base import Line, SynthesisEngine, Voice
from services.tts.engines.registry import voices_for

KIND = "synthesis"


async def speaking(engine: SynthesisEngine) -> list[Voice]:
    """The voices of one language: Spanish where the engine has it."""
    voices = (await engine.describe()).voices
    return voices_for(voices, "es") or voices_for(voices, voices[0].language)


async def seconds(engine: SynthesisEngine, text: str, rate: float = 1.0) -> float:
    """Length of the line without the silence around it."""
    sample_rate = (await engine.describe()).sample_rate
    samples = await engine.speak(Line(text, (await speaking(engine))[0], rate))
    return len(trim(samples, sample_rate)) / 2 / sample_rate


async def test_an_engine_declares_its_capabilities(engine):
    capabilities = await engine.describe()
    assert capabilities.available
    assert capabilities.info.name
    assert capabilities.info.version
    assert capabilities.sample_rate >= 8_000


async def test_voices_have_ids_of_their_own_that_begin_with_the_engine(engine):
    capabilities = await engine.describe()
    ids = [voice.id for voice in capabilities.voices]
    assert len(set(ids)) == len(ids)
    assert all(voice_id.startswith(f"{capabilities.info.name}:") for voice_id in ids)
    assert {voice.engine for voice in capabilities.voices} == {capabilities.info.name}
    assert all(voice.name and voice.language for voice in capabilities.voices)


async def test_two_voices_of_a_language_sound_different(engine):
    voices = (await speaking(engine))[:2]
    assert len({await engine.speak(Line("Hola.", voice)) for voice in voices}) == len(voices)


async def test_the_same_line_sounds_the_same_again(engine):
    voice = (await speaking(engine))[0]
    assert await engine.speak(Line("Hola.", voice)) == await engine.speak(Line("Hola.", voice))


async def test_more_text_takes_longer(engine):
    line = "Hola, buenos días. "
    assert await seconds(engine, line * 3) > 2 * await seconds(engine, line)


async def test_the_rate_scales_the_length(engine):
    line = "Esta línea es más larga que las otras."
    natural, capabilities = await seconds(engine, line), await engine.describe()
    for rate, spoken in ((2.0, capabilities.max_rate), (0.5, capabilities.min_rate)):
        assert await seconds(engine, line, rate) == pytest.approx(natural / spoken, rel=0.2)


@pytest.mark.parametrize("text", ["♪", "…", "😀", "¿?", "\u200d"])
async def test_a_line_without_sound_is_silence_or_a_sound_and_never_a_crash(engine, text):
    sample_rate = (await engine.describe()).sample_rate
    samples = await engine.speak(Line(text, (await speaking(engine))[0]))
    assert len(samples) % 2 == 0
    assert len(trim(samples, sample_rate)) <= 30 * 2 * sample_rate


async def test_after_a_cancelled_call_it_still_works(engine):
    voice = (await speaking(engine))[0]
    task = asyncio.create_task(engine.speak(Line("Hola, esto es una prueba.", voice)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert await engine.speak(Line("Hola.", voice))


async def test_lines_spoken_in_one_call_sound_as_they_do_alone(engine):
    voices = (await speaking(engine))[:2]
    lines = [Line("Hola.", voices[0]), Line("Buenos días.", voices[-1], 1.5), Line("Adiós.", voices[0])]
    batch = (await engine.describe()).batch
    assert hasattr(engine, "speak_many") == (batch > 1)
    if batch > 1:
        alone = [await engine.speak(line) for line in lines]
        assert list(await engine.speak_many(lines)) == alone


async def test_lines_spoken_at_the_same_time_sound_as_they_do_alone(engine):
    voice = (await speaking(engine))[0]
    lines = ["Hola.", "Sí.", "Adiós."]
    alone = [await engine.speak(Line(line, voice)) for line in lines]
    assert await asyncio.gather(*(engine.speak(Line(line, voice)) for line in lines)) == alone
