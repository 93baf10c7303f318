"""The voices of espeak-ng: its languages, each spoken by several variants, so that speakers can be told apart."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from onevoice_kit.errors import InvalidInput
from onevoice_kit.languages import normalise
from services.tts.engines.base import Gender, Voice

_log = logging.getLogger(__name__)

_VARIANTS = (
    ("", Gender.MALE, "male"),
    ("f2", Gender.FEMALE, "female 2"),
    ("m3", Gender.MALE, "male 3"),
    ("f4", Gender.FEMALE, "female 4"),
    ("m7", Gender.MALE, "male 7"),
    ("f5", Gender.FEMALE, "female 5"),
    ("m1", Gender.MALE, "male 1"),
    ("f3", Gender.FEMALE, "female 3"),
)
"""In the order in which speakers get them: neighbours differ most."""
_TAGS = {"piqd": "tlh", "chr-US-Qaaa-x-west": "chr-US-x-west", "en-us-nyc": "en-US-x-nyc"}
"""Languages that the program lists by another tag than BCP-47's."""


@dataclass(frozen=True, slots=True)
class ListedVoice:
    """A voice and what the program calls it."""

    voice: Voice
    name: str
    """For `-v`, for example `roa/es-419+f2`."""


def parse_voices(listing: str, engine: str) -> list[ListedVoice]:
    """
    The voices in the output of `espeak-ng --voices`:

        Pty Language       Age/Gender VoiceName          File                 Other Languages
         5  es-419          --/M      Spanish_(Latin_America) roa/es-419           (es-mx 6)
    """
    languages: dict[str, tuple[str, str]] = {}
    for row in listing.splitlines()[1:]:
        columns = row.split()
        # Spellings of one language in Latin letters read another text than people write.
        if len(columns) >= 5 and "-latn" not in columns[1].lower():
            try:
                tag = normalise(_TAGS.get(columns[1], columns[1]))
            except InvalidInput:
                _log.warning("eSpeak's voice %s is left out: its language is no BCP-47 tag", columns[1])
                continue
            languages.setdefault(tag, (columns[4], columns[3].replace("_", " ").strip()))
    return [one for tag, (file, name) in languages.items() for one in _variants(tag, file, name, engine)]


def _variants(tag: str, file: str, name: str, engine: str) -> list[ListedVoice]:
    suffixes = [(f"+{variant}" if variant else "", gender, sound) for variant, gender, sound in _VARIANTS]
    return [
        ListedVoice(Voice(f"{engine}:{tag}{suffix}", f"{name}, {sound}", tag, gender, engine), file + suffix)
        for suffix, gender, sound in suffixes
    ]
