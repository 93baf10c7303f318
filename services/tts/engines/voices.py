"""The voices of vendors: each speaks every language of its model."""

from __future__ import annotations

from collections.abc import Sequence

from onevoice_kit.languages import normalise
from services.tts.engines.base import Gender, Voice

VENDOR_BYTES = 64 << 20
"""Longest line of a vendor: over 10 minutes of any format here."""
_GENDERS = {"female": Gender.FEMALE, "male": Gender.MALE, "neutral": Gender.NEUTRAL}


def multilingual(engine: str, settings: Sequence[str], languages: Sequence[str]) -> tuple[Voice, ...]:
    """
    One voice for each language and each setting `id[:name[:gender]]`, in their order; `engine:language+id`, so that
    the vendor's id is what follows the first `+`.
    """
    voices = []
    for tag in map(normalise, languages):
        for setting in settings:
            key, _, rest = setting.partition(":")
            name, _, gender = rest.partition(":")
            known = _GENDERS.get(gender, Gender.UNKNOWN)
            voices.append(Voice(f"{engine}:{tag}+{key}", name or key, tag, known, engine))
    return tuple(voices)


def vendor_id(voice: Voice) -> str:
    """The vendor's own id of a voice that `multilingual` made."""
    return voice.id.partition("+")[2]
