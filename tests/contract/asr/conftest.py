"""The contract of transcription engines runs over every engine and the fake."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.asr.engines.base import TranscriptionEngine
from services.asr.engines.registry import TRANSCRIPTION, transcription_engines
from services.asr.settings import AsrSettings
from tests.unit.asr import samples
from tests.unit.asr.fakes import FakeTranscription


@pytest.fixture(params=[*TRANSCRIPTION, "fake"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[TranscriptionEngine]:
    """A started engine with one worker."""
    engine: TranscriptionEngine
    if request.param == "fake":
        engine = FakeTranscription()
    else:
        settings = AsrSettings(asr_workers=1, asr_transcription_engines=(request.param,))
        engine = transcription_engines(settings).get(request.param)
    await engine.warm()
    yield engine
    await engine.close()


@pytest.fixture(scope="session")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About 6 s: a pause, a read sentence from 1.2 s to 4.2 s, a pause."""
    return samples.write(tmp_path_factory.mktemp("audio") / "speech.flac", samples.reading(samples.NAMES[1]))
