"""The choice of a voice for each speaker: by gender and pitch, the same for the same speaker."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onevoice_kit.errors import InvalidInput

_STEP_SEMITONES = 4
"""Differences of pitch within the same multiple of this count alike, so that a speaker's mood changes no voice."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of the deployment."""

    id: str
    language: str
    gender: str
    """`female`, `male` or `neutral`; empty where it is not known."""
    engine: str
    pitch_hz: int = 0
    """Median pitch; 0 where it is not known."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """A speaker of the source."""

    name: str
    gender: str = ""
    """`female` or `male`; empty where it is not known."""
    pitch_hz: int = 0
    """Median pitch; 0 where it is not known."""


def choose_voices(
    speakers: Sequence[Speaker], language: str, available: Sequence[Voice], wanted: Mapping[str, str]
) -> dict[str, str]:
    """
    A voice id for each speaker. `wanted` maps a speaker, a language or `*` to a voice id; a speaker's own entry comes
    before the language's, and that before `*`, and either of these reaches every speaker.

    Speakers without an entry get voices that no other speaker has, as long as there are enough: of their gender, of the
    first engine that has one, and of a near pitch, in this order; among equal ones the name of the speaker decides. So
    the same speakers get the same voices in every job, and one speaker alone gets the voice that it has among others
    unless another one needs it. An engine without any voice of the gender still comes before the next engine, whose
    words may be worse.

    Raises `InvalidInput` `unknown_voice` for a wanted voice that is not available in the language, and
    `unsupported_language` where the language has no voice at all.
    """
    ids = [voice.id for voice in available]
    if not ids:
        raise InvalidInput(f"No voice speaks “{language}”.", reason="unsupported_language")
    everyone = wanted.get(language) or wanted.get("*")
    asked = {speaker.name: wanted.get(speaker.name) or everyone for speaker in speakers}
    chosen = {name: voice for name, voice in asked.items() if voice}
    for voice in chosen.values():
        if voice not in ids:
            raise InvalidInput(f"There is no voice “{voice}” for “{language}”.", reason="unknown_voice")
    left = [speaker for speaker in speakers if speaker.name not in chosen]
    unused = [voice for voice in available if voice.id not in chosen.values()] or list(available)
    while left:
        given = _distinct(left, unused, available)
        chosen |= given
        left = [speaker for speaker in left if speaker.name not in given]
        unused = list(available)
    return chosen


def _distinct(speakers: Sequence[Speaker], unused: Sequence[Voice], available: Sequence[Voice]) -> dict[str, str]:
    """A voice of its own for as many speakers as there are voices: the best pairs first."""
    pairs = [
        (rank, speaker, voice)
        for speaker in speakers
        for voice, rank in zip(available, _ranks(speaker, available), strict=True)
        if voice in unused
    ]
    given: dict[str, str] = {}
    for _, speaker, voice in sorted(pairs, key=lambda pair: pair[0]):
        if speaker.name not in given and voice.id not in given.values():
            given[speaker.name] = voice.id
    return given


def _ranks(speaker: Speaker, voices: Sequence[Voice]) -> list[tuple[int, ...]]:
    """A rank for each voice, the best the lowest."""
    engines = list(dict.fromkeys(voice.engine for voice in voices))
    fits = [_fits(speaker, voice) for voice in voices]
    fitted = {voice.engine for voice, fit in zip(voices, fits, strict=True) if fit}
    count, place = max(1, sum(fits)), -_number(speaker.name)
    ranks: list[tuple[int, ...]] = []
    for voice, fit in zip(voices, fits, strict=True):
        worse = not fit and voice.engine in fitted
        ranks.append((worse, engines.index(voice.engine), not fit, _distance(speaker, voice), place % count))
        place += fit
    return ranks


def _fits(speaker: Speaker, voice: Voice) -> bool:
    return not speaker.gender or voice.gender in ("", "neutral", speaker.gender)


def _distance(speaker: Speaker, voice: Voice) -> int:
    """The difference of pitch in steps; 0 where a pitch is not known."""
    if not speaker.pitch_hz or not voice.pitch_hz:
        return 0
    return round(abs(12 * math.log2(voice.pitch_hz / speaker.pitch_hz)) / _STEP_SEMITONES)


def _number(name: str) -> int:
    """A number for a name, the same in every job: neighbours among numbered speakers are neighbours."""
    numbered = re.fullmatch(r"speaker_(\d{1,9})", name)
    return int(numbered[1]) - 1 if numbered else int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])
