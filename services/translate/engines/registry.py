"""The translation engines by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from onevoice_kit.engines.registry import Registry
from onevoice_kit.engines.standard import standard_layers
from services.translate.engines.base import Capabilities, TranslationEngine
from services.translate.settings import TranslateSettings

ENGINES: Mapping[str, str] = {
    "ct2": "services.translate.engines.ct2",
    "apertium": "services.translate.engines.apertium",
    "openai": "services.translate.engines.openai",
}
"""Modules with a function `create(settings)`."""

Engines: TypeAlias = Registry[TranslationEngine, Capabilities]


def translation_engines(settings: TranslateSettings, modules: Mapping[str, str] = ENGINES) -> Engines:
    """The configured engines; raises `InvalidInput` (reason `unknown_engine`) for a configured name that is none."""
    layers = standard_layers("translation", settings)
    return Registry(modules, settings.translate_engines, settings, capabilities=Capabilities, layers=layers)
