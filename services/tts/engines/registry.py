"""Which engines there are, by name; an engine is imported when it is first used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from onevoice_kit.errors import InvalidInput, PreconditionFailed
from onevoice_kit.languages import distance, ranked
from services.tts.engines.base import Capabilities, SynthesisEngine, Voice
from services.tts.settings import TtsSettings

ENGINES: Mapping[str, str] = {"espeak": "services.tts.engines.espeak"}
"""Modules with a function `create(settings)`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Who speaks."""

    engine: SynthesisEngine
    capabilities: Capabilities
    voice: Voice


class Registry:
    """The configured engines, in order of preference."""

    def __init__(self, names: Sequence[str], settings: TtsSettings, modules: Mapping[str, str] = ENGINES) -> None:
        """Raises `InvalidInput` (reason `unknown_engine`) for a configured name that is no engine."""
        for name in names:
            if name not in modules:
                raise InvalidInput(
                    f"There is no engine “{name}”; there are {', '.join(modules)}.", reason="unknown_engine"
                )
        self._names = tuple(names)
        self._settings = settings
        self._modules = modules
        self._made: dict[str, SynthesisEngine] = {}

    def get(self, name: str) -> SynthesisEngine:
        """The engine with this name; `InvalidInput` (reason `unknown_engine`) where none is configured."""
        if name not in self._names:
            raise InvalidInput(f"There is no engine “{name}” here.", reason="unknown_engine", details={"engine": name})
        if name not in self._made:
            self._made[name] = import_module(self._modules[name]).create(self._settings)
        return self._made[name]

    def all(self) -> list[SynthesisEngine]:
        """Every configured engine, in order."""
        return [self.get(name) for name in self._names]

    async def voices(self, language: str = "") -> list[Voice]:
        """Voices by engine in the configured order, then by language, the best for `language` first; empty: all."""
        found = []
        for engine in self.all():
            found += voices_for((await engine.describe()).voices, language)
        return found

    async def choose(self, engine_name: str, voice_id: str, language: str) -> Choice:
        """
        The voice with this id, or without an id the first of the language, of the engine named or the first that
        can work.

        Raises `InvalidInput` (reasons `unknown_engine`, `unknown_voice`, `unsupported_language`,
        `voice_language_mismatch`), `PreconditionFailed` (`engine_unavailable`).
        """
        owner = engine_name or self._owner_of(voice_id)
        engines = [self.get(owner)] if owner else self.all()
        described = [(engine, await engine.describe()) for engine in engines]
        usable = [(engine, capabilities) for engine, capabilities in described if capabilities.available]
        if described and not usable:
            missing = " ".join(capabilities.missing for _, capabilities in described)
            raise PreconditionFailed(missing, reason="engine_unavailable")
        for engine, capabilities in usable:
            voice = _pick(capabilities.voices, voice_id, language)
            if voice is not None:
                return Choice(engine, capabilities, voice)
        raise _nobody(voice_id, language)

    async def close(self) -> None:
        """Closes every engine that was used."""
        for engine in self._made.values():
            await engine.close()

    def _owner_of(self, voice_id: str) -> str:
        """The engine a voice id names; `InvalidInput` (reason `unknown_voice`) where there is none."""
        name = voice_id.partition(":")[0]
        if voice_id and name not in self._names:
            raise _nobody(voice_id, "")
        return name


def voices_for(voices: Sequence[Voice], language: str) -> list[Voice]:
    """The voices that serve a language, best first; all of them where none is asked for."""
    if not language:
        return list(voices)
    by_language: dict[str, list[Voice]] = {}
    for voice in voices:
        by_language.setdefault(voice.language, []).append(voice)
    return [voice for tag in ranked(language, by_language) for voice in by_language[tag]]


def _pick(voices: Sequence[Voice], voice_id: str, language: str) -> Voice | None:
    if not voice_id:
        return next(iter(voices_for(voices, language)), None) if language else None
    voice = next((voice for voice in voices if voice.id == voice_id), None)
    if voice is not None and distance(language, voice.language) is None:
        raise InvalidInput(
            f"The voice “{voice_id}” does not speak “{language}”.",
            reason="voice_language_mismatch",
            details={"voice": voice_id, "language": language},
        )
    return voice


def _nobody(voice_id: str, language: str) -> InvalidInput:
    if voice_id:
        return InvalidInput(f"There is no voice “{voice_id}”.", reason="unknown_voice", details={"voice": voice_id})
    return InvalidInput(
        f"No voice here speaks “{language}”.", reason="unsupported_language", details={"language": language}
    )
