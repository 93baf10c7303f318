"""Which engines there are, by name; an engine is imported when it is first used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module

from onevoice_kit.errors import InvalidInput, PreconditionFailed
from services.translate.engines.base import LanguagePair, TranslationEngine
from services.translate.settings import TranslateSettings

ENGINES: Mapping[str, str] = {"apertium": "services.translate.engines.apertium"}
"""Modules with a function `create(settings)`."""


class Registry:
    """The configured engines, in order of preference."""

    def __init__(self, names: Sequence[str], settings: TranslateSettings, modules: Mapping[str, str] = ENGINES) -> None:
        """Raises `InvalidInput` (reason `unknown_engine`) for a configured name that is no engine."""
        for name in names:
            if name not in modules:
                raise InvalidInput(
                    f"There is no engine “{name}”; there are {', '.join(modules)}.", reason="unknown_engine"
                )
        self._names = tuple(names)
        self._settings = settings
        self._modules = modules
        self._made: dict[str, TranslationEngine] = {}

    def get(self, name: str) -> TranslationEngine:
        """The engine with this name; `InvalidInput` (reason `unknown_engine`) where none is configured."""
        if name not in self._names:
            raise InvalidInput(f"There is no engine “{name}” here.", reason="unknown_engine", details={"engine": name})
        if name not in self._made:
            self._made[name] = import_module(self._modules[name]).create(self._settings)
        return self._made[name]

    def all(self) -> list[TranslationEngine]:
        """Every configured engine, in order."""
        return [self.get(name) for name in self._names]

    async def choose(self, name: str, source: str, target: str) -> tuple[TranslationEngine, LanguagePair]:
        """
        The engine with this name, or without a name the first that can work and serves the pair; and its pair.

        Raises `InvalidInput` (reasons `unknown_engine`, `unsupported_language_pair`), `PreconditionFailed` (reason
        `engine_unavailable`) where every engine asked lacks what it needs to work.
        """
        described = [(e, await e.describe()) for e in ([self.get(name)] if name else self.all())]
        usable = [(engine, capabilities) for engine, capabilities in described if capabilities.available]
        for engine, capabilities in usable:
            pair = capabilities.pair_for(source, target)
            if pair is not None:
                return engine, pair
        if described and not usable:
            missing = " ".join(capabilities.missing for _, capabilities in described)
            raise PreconditionFailed(missing, reason="engine_unavailable")
        raise InvalidInput(
            f"No engine here translates from “{source}” to “{target}”.",
            reason="unsupported_language_pair",
            details={"source_language": source, "target_language": target},
        )

    async def close(self) -> None:
        """Closes every engine that was used."""
        for engine in self._made.values():
            await engine.close()
