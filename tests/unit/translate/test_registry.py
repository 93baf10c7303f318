"""The translation engines by name; the registry itself is tested in `tests/unit/kit/test_engine_registry.py`."""

from __future__ import annotations

import pytest

from onevoice_kit.errors import InvalidInput
from services.translate.engines.registry import ENGINES, translation_engines
from services.translate.settings import TranslateSettings


def test_a_configured_name_that_is_no_engine_is_refused_at_once():
    with pytest.raises(InvalidInput, match="apertium") as caught:
        translation_engines(TranslateSettings(translate_engines=("nonsense",)))
    assert caught.value.reason == "unknown_engine"


def test_the_engines_and_their_order_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("TRANSLATE_ENGINES", "apertium, other")
    assert TranslateSettings().translate_engines == ("apertium", "other")
    assert list(ENGINES) == ["ct2", "apertium", "openai"]
