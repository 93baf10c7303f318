"""The choice of a voice for each speaker: by gender and pitch, the same for the same speaker."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onevoice_kit.errors import InvalidInput, Unavailable

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
    native: bool = True
    """False where its own language is another one."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """A speaker of the source."""

    name: str
    gender: str = ""
    """`female` or `male`; empty where it is not known."""
    pitch_hz: int = 0
    """Median pitch; 0 where it is not known."""


@dataclass(frozen=True, slots=True)
class Recast:
    """An engine that stopped working while it spoke a language of a job: its speakers get other voices."""

    engine: str
    reason: str
    """That of its last error."""
    before: dict[str, str]
    """The voice of every speaker until then."""

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speakers that had its voices."""
        return tuple(name for name, voice in self.before.items() if engine_of(voice) == self.engine)


def engine_of(voice_id: str) -> str:
    """The engine in the id of a voice, `engine:name`."""
    return voice_id.partition(":")[0]


def wanted_voice(speaker: str, language: str, wanted: Mapping[str, str]) -> str:
    """
    The voice that the user wants for a speaker; empty for none. `wanted` maps a speaker, a language or `*` to a voice
    id; a speaker's own entry comes before the language's, and that before `*`, and either of these reaches every
    speaker.
    """
    return wanted.get(speaker) or wanted.get(language) or wanted.get("*") or ""


def recast_voices(
    speakers: Sequence[Speaker],
    language: str,
    available: Sequence[Voice],
    wanted: Mapping[str, str],
    recasts: Sequence[Recast],
) -> dict[str, str]:
    """
    A voice id for each speaker after `recasts`, of which there may be none: the speakers of an engine that stopped
    working get voices of the others, as `choose_voices` does; the rest keep theirs, and so does a speaker for which
    the user wants a voice.

    Raises the errors of `choose_voices`, and `Unavailable`, with the reason of the last recast, where no other engine
    has a voice at this time.
    """
    if not recasts:
        return choose_voices(speakers, language, available, wanted)
    out, present = {recast.engine for recast in recasts}, {speaker.name for speaker in speakers}
    kept = {
        name: voice
        for name, voice in recasts[-1].before.items()
        if name in present and (engine_of(voice) not in out or wanted_voice(name, language, wanted))
    }
    left = [voice for voice in available if voice.engine not in out]
    if not left:
        engine = recasts[-1].engine
        message = f"The engine “{engine}” does not work, and no other one has a voice for “{language}” now."
        raise Unavailable(message, reason=recasts[-1].reason, details={"engine": engine})
    return choose_voices(speakers, language, left, wanted, kept)


def choose_voices(
    speakers: Sequence[Speaker],
    language: str,
    available: Sequence[Voice],
    wanted: Mapping[str, str],
    kept: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """
    A voice id for each speaker: the one in `kept`, else the wanted one (see `wanted_voice`), else one of `available`.

    Speakers without an entry get voices that no other speaker has, as long as there are enough: of their gender, of the
    first engine that has one, without an accent, and of a near pitch, in this order; among equal ones the name of the
    speaker decides. So the same speakers get the same voices in every job, and one speaker alone gets the voice that it
    has among others unless another one needs it. An engine without any voice of the gender still comes before the next
    engine, whose words may be worse.

    Raises `InvalidInput` `unknown_voice` for a wanted voice that is not available in the language, and
    `unsupported_language` where the language has no voice at all.
    """
    ids = [voice.id for voice in available]
    if not ids:
        raise InvalidInput(f"No voice speaks “{language}”.", reason="unsupported_language")
    asked = {speaker.name: wanted_voice(speaker.name, language, wanted) for speaker in speakers}
    chosen = {name: voice for name, voice in asked.items() if voice and name not in (kept or {})}
    for voice in chosen.values():
        if voice not in ids:
            raise InvalidInput(f"There is no voice “{voice}” for “{language}”.", reason="unknown_voice")
    chosen |= kept or {}
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
        distance = _distance(speaker, voice)
        ranks.append((worse, engines.index(voice.engine), not fit, not voice.native, distance, place % count))
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
