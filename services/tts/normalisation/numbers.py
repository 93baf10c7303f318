"""Numbers as words, by the number rules of CLDR."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from unicode_rbnf import RbnfEngine

from services.tts.normalisation.words import Words

MAX_DIGITS = 15
"""Longest number that is read as one; a longer one is read digit by digit."""
MAX_SPELT = 40
"""Longest number that is read digit by digit; a longer one stays as written."""
NUMBER = r"(?:[0-9]{1,3}(?: [0-9]{3})+(?:[.,][0-9]+)?(?![0-9]| [0-9])|[0-9]+(?:[.,][0-9]+)*)"
"""A number as people write it, its groups parted by a space, a period or a comma."""


class Form(enum.Enum):
    """The form of a number: alone, before a word of either gender, as a year, in an order."""

    ALONE = ("spellout-numbering", "spellout-cardinal")
    MASCULINE = ("spellout-cardinal-masculine", "spellout-cardinal", "spellout-numbering")
    FEMININE = ("spellout-cardinal-feminine", "spellout-cardinal", "spellout-numbering")
    YEAR = ("spellout-numbering-year", "spellout-numbering")
    ORDINAL = ("spellout-ordinal-masculine", "spellout-ordinal")
    ORDINAL_FEMININE = ("spellout-ordinal-feminine", "spellout-ordinal")
    ORDINAL_SHORT = ("spellout-ordinal-masculine-adjective", "spellout-ordinal-masculine", "spellout-ordinal")
    ORDINAL_OBLIQUE = ("spellout-ordinal-n", "spellout-ordinal")


@dataclass(frozen=True, slots=True)
class Written:
    """A number in a text."""

    whole: str
    """Digits, those of leading zeros too."""
    fraction: str = ""
    """Digits behind the mark."""
    grouped: bool = False
    """True where marks part its thousands."""

    @property
    def is_year(self) -> bool:
        """True for a number that is more often a year than a quantity."""
        return not self.fraction and not self.grouped and bool(re.fullmatch(r"1[1-9]\d\d|20[1-9]\d", self.whole))


def parse(text: str, decimal: str) -> Written | None:
    """The number that a match of `NUMBER` means where `decimal` is the mark of fractions; None for parts of a list."""
    group = "," if decimal == "." else "."
    if " " in text:
        whole, _, fraction = text.replace(",", ".").partition(".")
        return Written(whole.replace(" ", ""), fraction, grouped=True)
    if found := re.fullmatch(rf"([0-9]{{1,3}}(?:\{group}[0-9]{{3}})+)(?:\{decimal}([0-9]+))?", text):
        return Written(found[1].replace(group, ""), found[2] or "", grouped=True)
    if found := re.fullmatch(rf"([0-9]{{1,2}}(?:\{group}[0-9]{{2}})+\{group}[0-9]{{3}})(?:\{decimal}([0-9]+))?", text):
        return Written(found[1].replace(group, ""), found[2] or "", grouped=True)
    if found := re.fullmatch(r"([0-9]+)(?:[.,]([0-9]+))?", text):
        return Written(found[1], found[2] or "")
    return None


class Numbers:
    """The numbers of one language."""

    def __init__(self, language: str, words: Words) -> None:
        self._engine = RbnfEngine.for_language(language)
        self._words = words

    def whole(self, digits: str, form: Form) -> str:
        """A whole number of up to `MAX_DIGITS` in a form; a longer one or one with leading zeros, digit by digit."""
        if len(digits) > MAX_SPELT:
            return digits
        if len(digits) > MAX_DIGITS or (len(digits) > 1 and digits[0] == "0"):
            return " ".join(self._spelt(digit, Form.ALONE) for digit in digits)
        return self._spelt(digits, form)

    def number(self, number: Written, form: Form) -> str:
        """A number with its fraction in a form."""
        if not number.fraction:
            return self.whole(number.whole, form)
        as_one = self._words.pairs and len(number.fraction) <= 2 and number.fraction[0] != "0"
        digits = [number.fraction] if as_one else list(number.fraction[:MAX_SPELT])
        read = " ".join(self._spelt(digit, Form.ALONE) for digit in digits)
        return f"{self.whole(number.whole, Form.ALONE)} {self._words.point} {read}"

    def _spelt(self, digits: str, form: Form) -> str:
        ruleset = next(name for name in form.value if name in self._engine.rulesets)
        return self._engine.format_number(int(digits), ruleset_names=[ruleset]).text
