"""Which voice speaks for which speaker."""

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
    A voice id for each speaker, distinct as long as there are enough. `wanted` maps a speaker, a language or `*`
    to a voice id; the speaker's wish comes before the language's, and that before `*`.

    Raises `InvalidInput` `unknown_voice` for a wish that is not available in the language, and
    `unsupported_language` where the language has no voice at all.
    """
    voices = {voice.id: voice for voice in available}
    if not voices:
        raise InvalidInput(f"No voice speaks “{language}”.", reason="unsupported_language")
    chosen: dict[str, str] = {}
    for speaker in speakers:
        wish = wanted.get(speaker) or (None if chosen else wanted.get(language) or wanted.get("*"))
        if wish and wish not in voices:
            raise InvalidInput(f"There is no voice “{wish}” for “{language}”.", reason="unknown_voice")
        unused = [voice for voice in voices if voice not in chosen.values()]
        chosen[speaker] = wish or (unused or list(voices))[0]
    return chosen
