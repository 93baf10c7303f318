"""The engine `whisperx` where its library is not installed; `tests/libraries` has the tests with the library."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from onevoice_kit.errors import InvalidInput, PreconditionFailed
from services.asr.engines.base import TimeRange
from services.asr.engines.registry import conversation_engines, transcription_engines
from services.asr.engines.whisperx import LANGUAGES, create
from services.asr.settings import AsrSettings
from tests.unit.asr import samples

SETTINGS = AsrSettings(asr_transcription_engines=("whisperx",), asr_diarization_engines=("whisperx", "single"))


@pytest.mark.parametrize("engines", [transcription_engines, conversation_engines])
async def test_without_its_library_it_names_the_extra_and_is_not_chosen(engines):
    described = (await engines(SETTINGS).describe())[0]
    assert not described.available
    assert "onevoice[whisperx]" in described.missing
    assert set(described.languages) == set(LANGUAGES) >= {"en", "es", "fil", "zh"}


async def test_a_call_without_its_library_is_refused(tmp_path):
    engine = create(SETTINGS)
    audio = samples.write(tmp_path / "silence.flac", samples.silence(1))
    with pytest.raises(PreconditionFailed) as caught:
        await engine.recognise(audio, "en", 0)
    with pytest.raises(PreconditionFailed):
        await anext(engine.transcribe(audio, [TimeRange(0, 500)], "en"))
    with pytest.raises(PreconditionFailed):
        await engine.warm()
    assert caught.value.reason == "engine_unavailable"
    await engine.close()


@pytest.mark.parametrize("aligners", [("english",), ("xx=model",)])
def test_an_aligner_is_for_a_language_that_the_engine_has(aligners):
    with pytest.raises(InvalidInput) as caught:
        create(SETTINGS.model_copy(update={"whisperx_aligners": aligners}))
    assert caught.value.reason == "invalid_setting"


async def test_models_and_not_the_token_are_the_identity():
    plain = (await create(SETTINGS).describe()).info
    token = SETTINGS.model_copy(update={"whisperx_token": SecretStr("secret-of-the-hub")})
    assert (await create(token).describe()).info == plain
    other = (await create(SETTINGS.model_copy(update={"whisperx_speakers": "mine"})).describe()).info
    assert other.identity != plain.identity
    assert "secret" not in repr(create(token)._loading)
