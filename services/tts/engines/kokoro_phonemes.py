"""Text as the phonemes that Kokoro was trained with, by espeak-ng."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from services.tts.engines.espeak_kept import KeptEspeak
from services.tts.engines.espeak_program import without_phonemes

_TIE = "^"
_CLAUSE = re.compile(r"([.,;:!?…—]+)(?=\s|$)|([()“”«»\"—])")
"""A mark that ends a clause: before a space, or one that stands alone."""
_TITLES = frozenset(
    [
        "Mr",
        "Mrs",
        "Ms",
        "Dr",
        "Dra",
        "Prof",
        "St",
        "Jr",
        "Sr",
        "Sra",
        "Srta",
        "Ud",
        "Uds",
        "M",
        "Mme",
        "Mlle",
        "Sig",
        "Dott",
    ]
)
"""Their period ends no clause: the program reads the title as a word only with its period."""
_MARKS = {"«": " “", "“": " “", "»": "”", "(": " (", "...": "…"}

_JOINED = {"a^ɪ": "I", "a^ʊ": "W", "d^ʒ": "ʤ", "e^ɪ": "A", "t^ʃ": "ʧ", "ɔ^ɪ": "Y"}
_OTHERS = _JOINED | {"d^z": "ʣ", "o^ʊ": "O", "ə^ʊ": "Q", "s^s": "S", "t^s": "ʦ", "-": "", "^": ""}
_ENGLISH = {
    "ʔˌn\u0329": "tᵊn", "ʔn\u0329": "tᵊn", **_JOINED, "ə^l": "ᵊl", "ʔn": "tᵊn", "ʔ": "t", "r": "ɹ", "x": "k", "ç": "k",
    "ɐ": "ə", "ɬ": "l", "\u0303": "",
}  # fmt: skip
_AMERICAN = {"o^ʊ": "O", "ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ɚ": "əɹ", "i^ə": "iə", "ɪ^ə": "iə", "ɾ": "T", "ː": "", "^": ""}
_BRITISH = {"e^ə": "ɛː", "i^ə": "ɪə", "ə^ʊ": "Q", "^": ""}
PHONEMES: Mapping[str, Mapping[str, str]] = {
    "en-US": _ENGLISH | _AMERICAN, "en-GB": _ENGLISH | _BRITISH,
    "es": _OTHERS, "fr": _OTHERS, "hi": _OTHERS, "it": _OTHERS, "pt-BR": _OTHERS,
}  # fmt: skip
"""
By language, the model's sign for each of the program's, in the order of replacement: after misaki 0.9.4, which the
model's author wrote (Apache-2.0).
"""
PROGRAM_VOICES = {"en-US": "en-us", "en-GB": "en-gb", "fr": "fr-fr", "pt-BR": "pt-br"}


async def phonemes(program: KeptEspeak, text: str, language: str) -> str:
    """The phonemes of a line, its punctuation between them; errors are those of `KeptEspeak.run`."""
    options = ["-q", "--ipa", f"--tie={_TIE}", "-b", "1", "-v", PROGRAM_VOICES.get(language, language), "--stdin"]
    found = ""
    for words, mark in clauses(text):
        if any(sign.isalnum() for sign in words):
            spoken = await program.run(options, without_phonemes(words).encode())
            found += " " + _converted(" ".join(spoken.decode(errors="replace").split()), language)
        found += mark
    return found.strip()


def clauses(text: str) -> Iterator[tuple[str, str]]:
    """The clauses of a text, each with the mark behind it, as the model has it."""
    start = 0
    for match in _CLAUSE.finditer(text):
        words = text[start : match.start()].strip()
        if match[0] == "." and words.rpartition(" ")[2] in _TITLES:
            continue
        yield words, _MARKS.get(match[0], match[0][:1])
        start = match.end()
    if text[start:].strip():
        yield text[start:].strip(), ""


def _converted(ipa: str, language: str) -> str:
    # The program names a change of language in parentheses, with ties where they are on: “(^e^n)wˈiːkɛnd(^e^s)”.
    ipa = re.sub(r"\([a-z^-]+\)", "", ipa)
    for sign, other in PHONEMES[language].items():
        ipa = ipa.replace(sign, other)
    return re.sub(r"(\S)\u0329", r"ᵊ\1", ipa).replace("\u0329", "")


def pieces(found: str, longest: int) -> Iterator[str]:
    """A long line in pieces that the model takes, cut behind punctuation or else at a space."""
    while len(found) > longest:
        cut = max((found.rfind(mark, 0, longest) + 1 for mark in ".!?;:,—…"), default=0)
        cut = cut or found.rfind(" ", 0, longest) + 1 or longest
        yield found[:cut]
        found = found[cut:].strip()
    yield found
