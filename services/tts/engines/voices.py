"""The voices of vendors: each speaks every language of its model."""

from __future__ import annotations

from collections.abc import Sequence

from onevoice_kit.languages import normalise
from services.tts.engines.base import Gender, Voice

VENDOR_BYTES = 64 << 20
"""Longest line of a vendor: over 10 minutes of any format here."""
LIST_BYTES = 4 << 20
"""Longest description of voices."""
_GENDERS = {"female": Gender.FEMALE, "male": Gender.MALE, "neutral": Gender.NEUTRAL}


def multilingual(engine: str, settings: Sequence[str], languages: Sequence[str]) -> tuple[Voice, ...]:
    """A voice for each setting `id[:name[:gender]]`, in their order, that speaks all of the languages."""
    tags = tuple(map(normalise, languages))
    voices = []
    for setting in settings:
        key, _, rest = setting.partition(":")
        name, _, gender = rest.partition(":")
        known = _GENDERS.get(gender, Gender.UNKNOWN)
        several = tags if len(tags) > 1 else ()
        voices.append(Voice(f"{engine}:{key}", name or key, tags[0], known, engine, languages=several))
    return tuple(voices)


def vendor_id(voice: Voice) -> str:
    """The vendor's own id of a voice that `multilingual` made."""
    return voice.id.partition(":")[2]
