"""Every synthesis engine that needs no key, and the fake."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.tts.engines import espeak
from services.tts.engines.base import SynthesisEngine
from services.tts.settings import TtsSettings
from tests.support.synthesis_engine import FakeEngine


@pytest.fixture(params=["espeak", "fake"])
async def engine(request) -> AsyncIterator[SynthesisEngine]:
    made = FakeEngine() if request.param == "fake" else espeak.create(TtsSettings())
    yield made
    await made.close()
