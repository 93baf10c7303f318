"""Every registered engine of every stage, and the fakes that stand for them in other tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from onevoice_kit.engines.registry import Registry
from services.asr.engines import speakers, speakers_model, whisper, whisper_model
from services.asr.engines.registry import (
    CONVERSATION,
    DETECTION,
    DIARIZATION,
    IDENTIFICATION,
    SEPARATION,
    TRANSCRIPTION,
    conversation_engines,
    detection_engines,
    diarization_engines,
    identification_engines,
    separation_engines,
    transcription_engines,
)
from services.asr.settings import AsrSettings
from services.translate.engines import registry as translation
from services.translate.settings import TranslateSettings
from services.tts.engines import hibari, kokoro_model
from services.tts.engines import registry as synthesis
from services.tts.settings import TtsSettings
from tests.contract.engines.vendors import VENDORS, served
from tests.support import ct2_models
from tests.support.chat_server import chat_server
from tests.support.synthesis_engine import FakeEngine as FakeSynthesis
from tests.support.translation_engine import FakeEngine as FakeTranslation
from tests.unit.asr import samples
from tests.unit.asr.fakes import FakeTranscription

ENGINES: Mapping[str, Mapping[str, str]] = {
    "transcription": TRANSCRIPTION,
    "diarization": DIARIZATION,
    "conversation": CONVERSATION,
    "identification": IDENTIFICATION,
    "detection": DETECTION,
    "separation": SEPARATION,
    "translation": translation.ENGINES,
    "synthesis": synthesis.ENGINES,
}
"""Import paths by kind and name."""
_STAYS_LOADED = {
    "whisper": lambda: whisper_model.MODELS.get(whisper.loading(AsrSettings(asr_workers=1))),
    "speakers": lambda: speakers_model.MODELS.get(speakers.NAME),
    "kokoro": lambda: kokoro_model.MODELS.get(TtsSettings().kokoro_voices),
    "hibari": lambda: hibari.MODELS.get(hibari.NAME),
}
ELSEWHERE = frozenset({"demucs", "whisperx", "f5"})
"""Engines whose libraries have an environment of their own, where `tests/libraries` tests them."""
FAKES = {"transcription": FakeTranscription, "translation": FakeTranslation, "synthesis": FakeSynthesis}


def fake(kind: str) -> Any:
    """The fake of a kind; that of synthesis speaks several lines at once."""
    return FakeSynthesis(batch=4) if kind == "synthesis" else FAKES[kind]()


def registry(kind: str, name: str) -> Registry[Any, Any]:
    """The registry of a kind with one engine, as the service builds it; one worker process."""
    asr = AsrSettings(
        asr_workers=1,
        asr_transcription_engines=(name,),
        asr_diarization_engines=(name,),
        asr_identification_engines=(name,),
        asr_detection_engines=(name,),
        asr_separation_engines=(name,),
    )
    match kind:
        case "transcription":
            return transcription_engines(asr)
        case "diarization":
            return diarization_engines(asr)
        case "conversation":
            return conversation_engines(asr)
        case "identification":
            return identification_engines(asr)
        case "detection":
            return detection_engines(asr)
        case "separation":
            return separation_engines(asr)
        case "translation":
            return translation.translation_engines(TranslateSettings(translate_engines=(name,)))
        case _:
            return synthesis.synthesis_engines(TtsSettings(tts_engines=(name,)))


def names(kind: str) -> list[str]:
    """The engines of a kind that are installed, the fake included."""
    return [*(name for name in ENGINES[kind] if name not in ELSEWHERE), *(["fake"] if kind in FAKES else [])]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test file of one kind over the engines of that kind, the lifecycle over those of all kinds."""
    if "engine" in metafunc.fixturenames:
        kind = metafunc.module.KIND
        pairs = [(one, name) for one in ENGINES for name in names(one) if kind in (one, "all")]
        metafunc.parametrize("engine", pairs, indirect=True, ids=[f"{one}-{name}" for one, name in pairs])


@pytest.fixture
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """A warm engine."""
    kind, name = request.param
    if name in _STAYS_LOADED:
        assert request.getfixturevalue("models")[name]
    if (kind, name) == ("translation", "openai"):
        request.getfixturevalue("language_model")
    if (kind, name) == ("translation", "ct2"):
        request.getfixturevalue("translation_models")
    if (kind, name) in VENDORS:
        async with served((kind, name)) as (made, _server):
            await made.warm()
            yield made
        return
    made = fake(kind) if name == "fake" else registry(kind, name).get(name)
    await made.warm()
    yield made
    await made.close()


class Models(dict[str, object]):
    """Models that stay loaded for the session, because every engine in a process shares what is held."""

    def __missing__(self, name: str) -> object:
        self[name] = _STAYS_LOADED[name]()
        return self[name]


@pytest.fixture(scope="session")
def models() -> Models:
    """Each neural model, loaded when its first engine asks."""
    return Models()


@pytest.fixture
def language_model(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A local endpoint for the engine `openai`, set as a user sets one."""
    with chat_server() as server:
        monkeypatch.setenv("TRANSLATE_OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("TRANSLATE_OPENAI_MODEL", "test-model")
        yield


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A translation model that the test made."""
    return ct2_models.opus(tmp_path_factory.mktemp("models") / "opus-mt-test")


@pytest.fixture
def translation_models(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    """Models of the engine `ct2`, set as a user sets them."""
    monkeypatch.setenv("TRANSLATE_CT2_MODELS", f"en:es={tiny_model},en:ca={tiny_model}")


@pytest.fixture(scope="session")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About 6 s: a pause, a read sentence from 1.2 s to 4.2 s, a pause."""
    return samples.write(tmp_path_factory.mktemp("audio") / "speech.flac", samples.reading(samples.NAMES[1]))
