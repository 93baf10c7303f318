"""The choice of a voice for each speaker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onevoice_kit.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of the deployment."""

    id: str
    language: str
    gender: str
    engine: str


def choose_voices(
    speakers: Sequence[str], language: str, available: Sequence[Voice], wanted: Mapping[str, str]
) -> dict[str, str]:
    """
    A voice id for each speaker. `wanted` maps a speaker, a language or `*` to a voice id; a speaker's own entry comes
    before the language's, and that before `*`, and either of these reaches every speaker. Speakers without an entry
    get voices that no other speaker has, as long as there are enough.

    Raises `InvalidInput` `unknown_voice` for a wanted voice that is not available in the language, and
    `unsupported_language` where the language has no voice at all.
    """
    voices = [voice.id for voice in available]
    if not voices:
        raise InvalidInput(f"No voice speaks “{language}”.", reason="unsupported_language")
    everyone = wanted.get(language) or wanted.get("*")
    asked = {speaker: wanted.get(speaker) or everyone for speaker in speakers}
    chosen = {speaker: voice for speaker, voice in asked.items() if voice}
    for voice in chosen.values():
        if voice not in voices:
            raise InvalidInput(f"There is no voice “{voice}” for “{language}”.", reason="unknown_voice")
    unused = [voice for voice in voices if voice not in chosen.values()] or voices
    unnamed = [speaker for speaker in speakers if speaker not in chosen]
    return chosen | {speaker: unused[i % len(unused)] for i, speaker in enumerate(unnamed)}
