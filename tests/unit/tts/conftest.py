"""Registries of fake engines."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.tts.engines.registry import Registry
from services.tts.settings import TtsSettings
from tests.support.synthesis_engine import FakeEngine

Register = Callable[..., Registry]


@pytest.fixture
def registry_of() -> Register:
    """A registry that holds these engines by these names, in order."""

    def make(**engines: FakeEngine) -> Registry:
        modules = dict.fromkeys(engines, "tests.support.synthesis_engine")
        registry = Registry(tuple(engines), TtsSettings(), modules)
        registry._made.update(engines)
        return registry

    return make
