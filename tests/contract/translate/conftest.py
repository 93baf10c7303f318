"""Every translation engine that needs no key, and the fake."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.translate.engines import apertium
from services.translate.engines.base import TranslationEngine
from services.translate.settings import TranslateSettings
from tests.support.translation_engine import FakeEngine


@pytest.fixture(params=["apertium", "fake"])
async def engine(request) -> AsyncIterator[TranslationEngine]:
    made = FakeEngine() if request.param == "fake" else apertium.create(TranslateSettings())
    yield made
    await made.close()
