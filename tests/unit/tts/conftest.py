"""Registries of fake engines."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.tts.engines.registry import Engines, synthesis_engines
from services.tts.settings import TtsSettings
from tests.support.synthesis_engine import FakeEngine

Register = Callable[..., Engines]


@pytest.fixture
def registry_of() -> Register:
    """Builds a registry that holds these engines by these names, in order."""

    def make(**engines: FakeEngine) -> Engines:
        modules = dict.fromkeys(engines, "tests.support.synthesis_engine")
        registry = synthesis_engines(TtsSettings(tts_engines=tuple(engines)), modules)
        registry._made.update(engines)
        return registry

    return make
