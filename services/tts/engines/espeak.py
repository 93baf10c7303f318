"""
Engine `espeak`: the program espeak-ng, started for each line; it needs about 20 ms.

Each of its languages is spoken by several variants, so that speakers differ.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.errors import InvalidInput
from onevoice_kit.languages import normalise
from services.tts.engines.base import Capabilities, Gender, Line, Voice
from services.tts.engines.espeak_program import PROGRAM, EspeakProgram, without_phonemes
from services.tts.settings import TtsSettings

_log = logging.getLogger(__name__)

NAME = "espeak"
SAMPLE_RATE = 22_050
_WORDS_PER_MINUTE = 175
"""The program's own natural speaking rate."""
_WAV_HEADER_BYTES = 44

_VARIANTS = (
    ("", Gender.MALE, 101, "male"),
    ("f2", Gender.FEMALE, 195, "female 2"),
    ("m3", Gender.MALE, 105, "male 3"),
    ("f4", Gender.FEMALE, 180, "female 4"),
    ("m7", Gender.MALE, 107, "male 7"),
    ("f5", Gender.FEMALE, 205, "female 5"),
    ("m1", Gender.MALE, 94, "male 1"),
    ("f3", Gender.FEMALE, 211, "female 3"),
)
"""Name, gender, median pitch in hertz, sound; in the order of choice: neighbours differ most."""
_TAGS = {"piqd": "tlh", "chr-US-Qaaa-x-west": "chr-US-x-west", "en-us-nyc": "en-US-x-nyc"}
"""Languages that the program lists by another tag than BCP-47's."""


def create(settings: TtsSettings) -> Espeak:
    """The engine as the settings want it."""
    return Espeak(settings.espeak_timeout_s)


class Espeak:
    """The synthesis engine (see `base.SynthesisEngine`)."""

    def __init__(self, timeout_s: float, program: str = PROGRAM) -> None:
        """A line that takes longer than `timeout_s` is given up. `program` is espeak-ng, by name or path."""
        self._program = EspeakProgram(timeout_s, program)
        self._names: dict[str, str] = {}
        """Names that the program has for the voices, by voice id."""
        self._described: Capabilities | None = None

    async def describe(self) -> Capabilities:
        if missing := self._program.missing(NAME):
            return Capabilities(info=EngineInfo(NAME), sample_rate=SAMPLE_RATE, missing=missing)
        if self._described is None:
            version = (await self._program.run(["--version"])).decode(errors="replace")
            listed = parse_voices((await self._program.run(["--voices"])).decode(errors="replace"), NAME)
            self._names = {one.voice.id: one.name for one in listed}
            # For example: eSpeak NG text-to-speech: 1.51  Data at: …
            info = EngineInfo(NAME, version=next(iter(version.partition(":")[2].split()), ""))
            voices = tuple(one.voice for one in listed)
            self._described = Capabilities(info=info, voices=voices, sample_rate=SAMPLE_RATE)
        return self._described

    async def warm(self) -> None:
        await self.describe()

    async def speak(self, line: Line) -> bytes:
        options = [
            "-v",
            self._names[line.voice.id],
            "-s",
            str(round(_WORDS_PER_MINUTE * line.rate)),
            "-b",
            "1",
            "--stdin",
            "--stdout",
        ]
        return (await self._program.run(options, without_phonemes(line.text).encode()))[_WAV_HEADER_BYTES:]

    async def close(self) -> None:
        """Nothing is kept running."""


@dataclass(frozen=True, slots=True)
class ListedVoice:
    """A voice and the name that the program has for it."""

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
    suffixes = [(f"+{variant}" if variant else "", gender, pitch, sound) for variant, gender, pitch, sound in _VARIANTS]
    return [
        ListedVoice(Voice(f"{engine}:{tag}{suffix}", f"{name}, {sound}", tag, gender, engine, pitch), file + suffix)
        for suffix, gender, pitch, sound in suffixes
    ]
