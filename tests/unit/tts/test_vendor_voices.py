"""The voices of vendors, and requests that depend on settings."""

from __future__ import annotations

import pytest

from services.tts.engines.base import Gender, Line
from services.tts.engines.elevenlabs import ElevenLabs
from services.tts.engines.openai import OpenAi
from services.tts.engines.registry import voices_for
from services.tts.engines.voices import multilingual, vendor_id
from services.tts.settings import TtsSettings
from tests.support.vendor_apis import elevenlabs_speech, openai_speech
from tests.support.vendor_server import KEY, vendor_server


def test_a_voice_speaks_each_language_under_one_id():
    voices = multilingual("some", ["a+b:Ana:female", "c"], ["es", "pt-BR"])
    assert [voice.id for voice in voices] == ["some:a+b", "some:c"]
    assert [vendor_id(voice) for voice in voices] == ["a+b", "c"]
    assert {(voice.language, voice.languages, voice.speaks) for voice in voices} == {("es", *[("es", "pt-BR")] * 2)}
    [alone] = multilingual("some", ["c"], ["es"])
    assert (alone.language, alone.languages, alone.speaks) == ("es", (), ("es",))
    assert (voices[0].name, voices[0].gender) == ("Ana", Gender.FEMALE)
    assert (voices[1].name, voices[1].gender) == ("c", Gender.UNKNOWN)


@pytest.mark.parametrize(
    ("model", "language"), [("eleven_multilingual_v2", {}), ("eleven_flash_v2_5", {"language_code": "es"})]
)
async def test_elevenlabs_gets_the_language_where_its_model_takes_one_and_the_settings_of_the_voice(model, language):
    async with vendor_server(elevenlabs_speech) as server:
        settings = TtsSettings(
            elevenlabs_api_key=KEY, elevenlabs_base_url=server.url, elevenlabs_tts_model=model, elevenlabs_style=0.3
        )
        engine = ElevenLabs(settings)
        [voice, *_] = voices_for((await engine.describe()).voices, "es")
        await engine.speak(Line("Hola.", voice, 2.0))
        await engine.close()
    asked = server.requests[0].json
    assert asked == {"text": "Hola.", "model_id": model, "voice_settings": {"style": 0.3, "speed": 1.2}, **language}


async def test_openai_gets_instructions_only_where_they_are_set_and_they_are_part_of_the_identity():
    async with vendor_server(openai_speech) as server:
        infos = []
        for said in ("", "Speak calmly."):
            settings = TtsSettings(openai_api_key=KEY, openai_audio_base_url=server.url, openai_tts_instructions=said)
            engine = OpenAi(settings)
            described = await engine.describe()
            await engine.speak(Line("Hola.", described.voices[0]))
            await engine.close()
            infos.append(described.info)
    assert [request.json.get("instructions") for request in server.requests] == [None, "Speak calmly."]
    assert infos[0].version != infos[1].version


@pytest.mark.parametrize(
    ("model", "neighbours"),
    [("eleven_multilingual_v2", {"previous_text": "Buenos días.", "next_text": "Adiós."}), ("eleven_v3", {})],
)
async def test_elevenlabs_gets_the_text_before_and_after_where_its_model_takes_them(model, neighbours):
    async with vendor_server(elevenlabs_speech) as server:
        engine = ElevenLabs(
            TtsSettings(elevenlabs_api_key=KEY, elevenlabs_base_url=server.url, elevenlabs_tts_model=model)
        )
        voice = (await engine.describe()).voices[0]
        await engine.speak(Line("Hola.", voice, 1.0, "Buenos días.", "Adiós."))
        await engine.speak(Line("Hola.", voice))
        await engine.close()
    sent = [{name: request.json[name] for name in request.json if "_text" in name} for request in server.requests]
    assert sent == [neighbours, {}]
