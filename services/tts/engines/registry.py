"""The synthesis engines by name, and the choice of the voice that speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from onevoice_kit.engines.registry import Candidate, Registry
from onevoice_kit.engines.standard import standard_layers
from onevoice_kit.errors import InvalidInput
from onevoice_kit.languages import best, ranked
from services.tts.engines.base import Capabilities, SynthesisEngine, Voice
from services.tts.settings import TtsSettings

ENGINES: Mapping[str, str] = {
    "kokoro": "services.tts.engines.kokoro",
    "hibari": "services.tts.engines.hibari",
    "espeak": "services.tts.engines.espeak",
    "openai": "services.tts.engines.openai",
    "elevenlabs": "services.tts.engines.elevenlabs",
    "deepgram": "services.tts.engines.deepgram",
    "fish": "services.tts.engines.fish",
    "f5": "services.tts.engines.f5",
    "custom": "services.tts.engines.custom",
}
"""Modules with a function `create(settings)`."""

Engines: TypeAlias = Registry[SynthesisEngine, Capabilities]
Choice: TypeAlias = Candidate[SynthesisEngine, Capabilities, Voice]
"""An engine and the voice of it that speaks."""


def synthesis_engines(settings: TtsSettings, modules: Mapping[str, str] = ENGINES) -> Engines:
    """The configured engines; raises `InvalidInput` (reason `unknown_engine`) for a configured name that is none."""
    layers = standard_layers("synthesis", settings)
    return Registry(modules, settings.tts_engines, settings, capabilities=Capabilities, layers=layers)


async def choose(engines: Engines, engine: str, voice_id: str, language: str) -> Choice:
    """
    The voice with this id, or without an id the first of the language, of the engine named or the first that can work.

    One engine alone: another one would mean another voice, and recasting a speaker concerns the whole job. Raises
    `InvalidInput` (reasons `unknown_engine`, `unknown_voice`, `unsupported_language`, `voice_language_mismatch`),
    `PreconditionFailed` (`engine_unavailable`).
    """
    owner = voice_id.partition(":")[0]
    if owner and owner not in engines.names:
        raise _unsupported(voice_id, language)
    candidates = await engines.candidates(
        engine or owner, lambda one: _pick(one.voices, voice_id, language), _unsupported(voice_id, language)
    )
    return candidates[0]


async def list_voices(engines: Engines, language: str = "") -> list[Voice]:
    """Voices by engine in the configured order, then by language, the best for `language` first; empty: all."""
    described = await engines.describe()
    return [voice for one in described for voice in voices_for(one.voices, language)]


def voices_for(voices: Sequence[Voice], language: str) -> list[Voice]:
    """
    The voices that serve a language, each with its nearest one, best first, and those whose own it is before others;
    all of them for an empty one.
    """
    if not language:
        return list(voices)
    by_language: dict[str, list[Voice]] = {}
    for voice in voices:
        if tag := best(language, voice.speaks):
            by_language.setdefault(tag, []).append(voice.speaking(tag))
    return [
        voice
        for tag in ranked(language, by_language)
        for voice in sorted(by_language[tag], key=lambda voice: not voice.native)
    ]


def _pick(voices: Sequence[Voice], voice_id: str, language: str) -> Voice | None:
    if not voice_id:
        return next(iter(voices_for(voices, language)), None) if language else None
    voice = next((voice for voice in voices if voice.id == voice_id), None)
    if voice is None:
        return None
    tag = best(language, voice.speaks)
    if tag is None:
        raise InvalidInput(
            f"The voice “{voice_id}” does not speak “{language}”.",
            reason="voice_language_mismatch",
            details={"voice": voice_id, "language": language},
        )
    return voice.speaking(tag)


def _unsupported(voice_id: str, language: str) -> InvalidInput:
    if voice_id:
        return InvalidInput(f"There is no voice “{voice_id}”.", reason="unknown_voice", details={"voice": voice_id})
    return InvalidInput(
        f"No voice here speaks “{language}”.", reason="unsupported_language", details={"language": language}
    )
