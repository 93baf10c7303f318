"""Which engines there are, by name; an engine is imported when it is first used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Generic, Protocol, TypeVar

from onevoice_kit.errors import InvalidInput, PreconditionFailed
from services.asr.engines.base import Capabilities, DiarizationEngine, TranscriptionEngine
from services.asr.settings import AsrSettings

TRANSCRIPTION: Mapping[str, str] = {"pocketsphinx": "services.asr.engines.pocketsphinx"}
"""Modules with a function `create(settings)`."""
DIARIZATION: Mapping[str, str] = {"single": "services.asr.engines.single"}


class _Engine(Protocol):
    @property
    def capabilities(self) -> Capabilities: ...

    def available(self) -> bool: ...

    async def close(self) -> None: ...


E = TypeVar("E", bound=_Engine)


class Registry(Generic[E]):
    """The configured engines of one kind, in order of preference."""

    def __init__(self, engines: Sequence[E]) -> None:
        self.engines = tuple(engines)

    def choose(self, name: str, language: str | None = None) -> E:
        """
        The engine with this name, or without a name the first that is available and serves the language.

        Raises `InvalidInput` (reasons `unknown_engine`, `unsupported_language`) and `PreconditionFailed`
        (reason `engine_unavailable`) where the engine cannot work in this deployment.
        """
        named = [engine for engine in self.engines if name in ("", engine.capabilities.info.name)]
        if not named:
            raise InvalidInput(f"There is no engine “{name}” here.", reason="unknown_engine", details={"engine": name})
        serving = [engine for engine in named if language is None or engine.capabilities.serves(language)]
        if not serving:
            raise InvalidInput(
                f"The language “{language}” cannot be recognised here.",
                reason="unsupported_language",
                details={"language": language or ""},
            )
        usable = next((engine for engine in serving if engine.available()), None)
        if usable is None:
            asked = serving[0].capabilities.info.name
            raise PreconditionFailed(
                f"The engine “{asked}” is not installed here.", reason="engine_unavailable", details={"engine": asked}
            )
        return usable

    async def close(self) -> None:
        """Closes every engine."""
        for engine in self.engines:
            await engine.close()


def transcription_engines(settings: AsrSettings) -> Registry[TranscriptionEngine]:
    """The configured engines; `InvalidInput` (reason `unknown_engine`) for a name that is none."""
    return Registry([_create(name, TRANSCRIPTION, settings) for name in settings.asr_transcription_engines])


def diarization_engines(settings: AsrSettings) -> Registry[DiarizationEngine]:
    """The configured engines; `InvalidInput` (reason `unknown_engine`) for a name that is none."""
    return Registry([_create(name, DIARIZATION, settings) for name in settings.asr_diarization_engines])


def _create(name: str, modules: Mapping[str, str], settings: AsrSettings) -> Any:
    if name not in modules:
        raise InvalidInput(f"There is no engine “{name}”; there are {', '.join(modules)}.", reason="unknown_engine")
    return import_module(modules[name]).create(settings)
