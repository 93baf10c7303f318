"""Engines by name, imported when first used."""

from __future__ import annotations

import sys

import pytest

from onevoice_kit.errors import InvalidInput
from services.translate.engines.registry import ENGINES, Registry
from services.translate.settings import TranslateSettings

FAKE = {"fake": "tests.support.translation_engine"}


def test_a_configured_name_that_is_no_engine_is_refused_at_once():
    with pytest.raises(InvalidInput, match="apertium") as caught:
        Registry(["nonsense"], TranslateSettings())
    assert caught.value.reason == "unknown_engine"


def test_an_engine_is_imported_when_it_is_first_used(monkeypatch):
    monkeypatch.delitem(sys.modules, FAKE["fake"], raising=False)
    registry = Registry(["fake"], TranslateSettings(), FAKE)
    assert FAKE["fake"] not in sys.modules
    engine = registry.get("fake")
    assert FAKE["fake"] in sys.modules
    assert registry.get("fake") is engine


def test_an_engine_that_is_not_configured_is_unknown():
    with pytest.raises(InvalidInput) as caught:
        Registry([], TranslateSettings(), FAKE).get("fake")
    assert caught.value.details == {"engine": "fake"}


async def test_engines_that_were_used_are_closed():
    registry = Registry(["fake"], TranslateSettings(), FAKE)
    engine = registry.get("fake")
    await registry.close()
    assert engine.closed  # type: ignore[attr-defined]


def test_the_engines_and_their_order_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("TRANSLATE_ENGINES", "apertium, other")
    assert TranslateSettings().translate_engines == ("apertium", "other")
    assert list(ENGINES) == ["apertium"]
