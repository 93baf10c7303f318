"""The engine `custom`: replies that are no speech of the expected form, and the example server of the documents."""

from __future__ import annotations

import base64
import importlib.util
import json
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from onevoice_kit.errors import OneVoiceError, PreconditionFailed, Unavailable
from services.tts.audio import to_wav
from services.tts.engines.base import Line
from services.tts.engines.custom import Custom
from services.tts.settings import TtsSettings
from tests.support.vendor_apis import custom_speech
from tests.support.vendor_server import KEY, sends, vendor_server

EXAMPLE = Path(__file__).parents[3] / "docs/custom_synthesis_server.py"


async def spoken(url: str, key: str = KEY, rate: int = 22_050) -> bytes:
    settings = TtsSettings(
        custom_tts_url=url, custom_tts_key=key, custom_tts_languages=("es",), custom_tts_sample_rate=rate
    )
    engine = Custom(settings)
    try:
        return await engine.speak(Line("Hola, buenos días.", (await engine.describe()).voices[0]))
    finally:
        await engine.close()


@pytest.mark.parametrize("body", [b"no sound", to_wav(bytes(20), 8_000), to_wav(bytes(20), 22_050)[:30]])
async def test_a_reply_that_is_no_sound_of_the_expected_form_is_an_error(body):
    async with vendor_server(custom_speech) as server:
        server.fault = sends(body)
        with pytest.raises(Unavailable) as caught:
            await spoken(f"{server.url}/speak")
    assert caught.value.reason == "engine_answer"


async def spoken_together(*replies: object) -> list[object]:
    """The ends of two lines that a server answers so, by their types, reasons of errors included."""
    async with vendor_server(custom_speech) as server:
        server.fault = sends(json.dumps({"lines": replies}).encode(), "application/json")
        settings = TtsSettings(custom_tts_url=f"{server.url}/speak", custom_tts_key=KEY, custom_tts_batch=4)
        engine = Custom(settings)
        voice = (await engine.describe()).voices[0]
        try:
            ends = await engine.speak_many([Line("Hello.", voice), Line("Goodbye.", voice)])
        finally:
            await engine.close()
    return [end.reason if isinstance(end, OneVoiceError) else len(end) for end in ends]


SOUND = {"audio": base64.b64encode(to_wav(bytes(20), 24_000)).decode()}
OTHER_RATE = {"audio": base64.b64encode(to_wav(bytes(20), 8_000)).decode()}


@pytest.mark.parametrize(
    ("reply", "end"),
    [(SOUND, 20), (OTHER_RATE, "engine_answer"), ({}, "engine_answer"), ({"audio": "é"}, "engine_answer")]
    + [({"status": status}, reason) for status, reason in ((422, "engine_refused"), (503, "engine_failed"))],
)
async def test_each_line_of_a_reply_has_its_own_end(reply, end):
    assert await spoken_together(SOUND, reply) == [20, end]


@pytest.mark.parametrize("replies", [[SOUND], [SOUND] * 3, [SOUND, {"audio": 7}]])
async def test_a_reply_of_another_form_or_number_of_lines_is_an_error(replies):
    with pytest.raises(Unavailable) as caught:
        await spoken_together(*replies)
    assert caught.value.reason == "engine_answer"


@pytest.fixture
def example():
    spec = importlib.util.spec_from_file_location("example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.Handler.log_message = lambda *_: None
    with ThreadingHTTPServer(("127.0.0.1", 0), module.Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", module.KEY
        server.shutdown()
        thread.join()


async def test_the_example_of_the_documents_speaks_and_checks_its_key(example):
    url, key = example
    assert 1 < len(await spoken(url, key)) / 2 / 22_050 < 4
    with pytest.raises(PreconditionFailed):
        await spoken(url, "another")


async def test_the_example_of_the_documents_speaks_several_lines_at_once(example):
    url, key = example
    settings = TtsSettings(
        custom_tts_url=url, custom_tts_key=key, custom_tts_languages=("es",), custom_tts_sample_rate=22_050
    )
    engine = Custom(settings)
    voice = (await engine.describe()).voices[0]
    lines = [Line("Hola.", voice), Line("Hola, buenos días.", voice)]
    assert await engine.speak_many(lines) == [await engine.speak(line) for line in lines]
    await engine.close()


async def test_without_an_address_the_setting_is_named():
    assert "CUSTOM_TTS_URL" in (await Custom(TtsSettings(custom_tts_key=KEY)).describe()).missing
