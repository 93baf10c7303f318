"""The rules that turn what is written in signs into words, one method each, in the order of `Rules.spoken`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import lru_cache

from babel import Locale

from services.tts.normalisation.dates import Dates
from services.tts.normalisation.numbers import NUMBER, Form, Numbers, Written, parse
from services.tts.normalisation.units import UNITS, unit_name
from services.tts.normalisation.words import CODES, LANGUAGES, SYMBOLS, Words

_ADDRESS = re.compile(
    r"(?<![\w@./])(?:(?:https?://|www\.)[^\s<>\"“”«»]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|(?:[a-z0-9-]+\.)+(?:com|org|net|edu|gov|info|io|eu)(?:/[^\s<>\"“”«»]*)?)(?<![.,;:!?)…'’])(?!\w)",
    re.IGNORECASE,
)
_PHONE = re.compile(r"(?<![\w+])\+[0-9](?:[ -]?[0-9]){8,14}(?![0-9])")
_VOWELS = "aeiou"
_SIGN = r"(?:(?P<sign>[-−+])(?=[0-9€$£¥₹]))?"
_START = r"(?<![\w.,:/@°-])"
Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


class Rules:
    """The rules of one language."""

    def __init__(self, language: str, locale: Locale) -> None:
        """`language` is a key of `LANGUAGES`; the locale names months and units."""
        self._words: Words = LANGUAGES[language]
        self._numbers = Numbers(language, self._words)
        self._locale = locale
        self._decimal: str = locale.number_symbols["latn"]["decimal"]
        self._names = dict(zip(SYMBOLS, self._words.money, strict=True))
        self._units = {**UNITS, **self._words.units}
        self._aside = frozenset(self._words.aside.split())
        self._masculine = frozenset(self._words.masculine.split())
        dates = Dates(language, locale, self._words, self._numbers)
        self._rules: tuple[Rule, ...] = (
            (_ADDRESS, self._address), (_PHONE, self._phone), *self._abbreviations(), *dates.rules(), *self._money(),
            self._unit_rule(),
            *self._ordinals(), *self._ranges(), self._plain_rule(),
        )  # fmt: skip

    def spoken(self, text: str) -> str:
        """The text with every rule applied; it may hold more spaces than before."""
        for pattern, replacement in self._rules:
            text = pattern.sub(replacement, text)
        return text

    def _address(self, match: re.Match[str]) -> str:
        shown = re.sub(r"^(?:https?://)?(?:www\.)?", "", match[0].rstrip("/"), flags=re.IGNORECASE)
        signs = dict(zip("./-_@", self._words.address, strict=True))
        return "".join(f" {signs[one]} " if one in signs else one if one.isalnum() else " " for one in shown).strip()

    def _phone(self, match: re.Match[str]) -> str:
        digits = (self._numbers.whole(digit, Form.ALONE) for digit in match[0] if digit.isdigit())
        return f"{self._words.plus} {' '.join(digits)}"

    def _abbreviations(self) -> Iterable[Rule]:
        full = self._words.abbreviations
        if full:
            yield re.compile(rf"(?<![\w.]){_any(full)}(?!\w)"), lambda match: full[match[0]] + _end(match)
        number = self._words.number
        yield re.compile(rf"(?<!\w){_any(self._words.number_signs)} ?(?=[0-9])"), lambda _: f"{number} "

    def _money(self) -> Iterable[Rule]:
        sign = rf"(?P<money>{_any([*CODES, *SYMBOLS])})"
        scale = rf"(?: ?(?P<scale>{self._words.scales})(?!\w)(?: {self._words.of})?)?"
        number = f"(?P<n>{NUMBER})"
        yield re.compile(rf"(?<![\w.,]){_SIGN}{sign} ?{number}{scale}(?!\w)"), self._amount
        yield re.compile(rf"{_START}{_SIGN}{number}{scale} ?{sign}(?!\w)"), self._amount

    def _amount(self, match: re.Match[str]) -> str:
        number = parse(match["n"], self._decimal)
        if number is None:
            return match[0]
        name = self._names[CODES.get(match["money"], match["money"])]
        sign = self._sign(match)
        if match["scale"]:
            parts = [self._before(number, match["scale"]), match["scale"], self._of(name.many)]
        elif len(number.fraction) == 2 and name.cent:
            whole, cents = Written(number.whole), Written(number.fraction.lstrip("0") or "0")
            parts = [self._counted(whole, name.one, name.many)]
            if cents.whole != "0":
                parts += [self._words.join, self._counted(cents, name.cent, name.cents)]
        else:
            parts = [self._counted(number, name.one, name.many)]
        return sign + " ".join(filter(None, parts))

    def _counted(self, number: Written, one: str, many: str) -> str:
        if not number.fraction and re.fullmatch(r"[1-9][0-9]*0{6}", number.whole):
            return f"{self._before(number, many)} {self._of(many)}"
        name = one if self._plural(number) == "one" else many
        return f"{self._before(number, name)} {name}"

    def _of(self, name: str) -> str:
        """The name behind a word such as “million”: “de euros”, “d'euros”, “euros”."""
        if self._words.elides and name[0] in _VOWELS:
            return f"d'{name}"
        return f"{self._words.of} {name}".strip()

    def _plural(self, number: Written) -> str:
        value = Decimal(f"{number.whole[-15:]}.{number.fraction[:15] or 0}") if number.fraction else number.whole[-15:]
        return self._locale.plural_form(Decimal(value))

    def _unit_rule(self) -> Rule:
        pattern = rf"{_START}{_SIGN}(?P<n>{NUMBER}) ?(?P<unit>{_any(self._units)})(?![\w²³/])"
        return re.compile(pattern), self._unit

    def _unit(self, match: re.Match[str]) -> str:
        number = parse(match["n"], self._decimal)
        if number is None or (match["unit"] == "s" and " " not in match[0]):
            return match[0]
        name = unit_name(self._units[match["unit"]], self._plural(number), self._locale)
        return f"{self._sign(match)}{self._before(number, name)} {name}{_end(match)}"

    def _ordinals(self) -> Iterable[Rule]:
        if self._words.ordinal:
            yield re.compile(rf"{_START}{self._words.ordinal}(?!\w)"), self._ordinal
        if self._words.years and not self._words.feminine:
            yield re.compile(rf"{_START}'?(?P<n>1[1-9][0-9]0|20[0-9]0|[2-9]0)s\b"), self._decade

    def _ordinal(self, match: re.Match[str]) -> str:
        groups = match.groupdict()
        alone = not re.match(r" [^\W\d_]", match.string[match.end() : match.end() + 2])
        masculine = Form.ORDINAL if alone and not groups.get("adj") else Form.ORDINAL_SHORT
        return self._numbers.whole(match["n"], Form.ORDINAL_FEMININE if groups.get("f") else masculine)

    def _decade(self, match: re.Match[str]) -> str:
        read = self._numbers.whole(match["n"], Form.YEAR)
        return f"{read[:-1]}ies" if read.endswith("y") else f"{read}s"

    def _ranges(self) -> Iterable[Rule]:
        yield (
            re.compile(rf"{_START}([0-9]{{1,4}}) ?[-–] ?([0-9]{{1,4}})(?![\w-]|[.,:/][0-9])"),
            lambda match: f"{match[1]} {self._words.to} {match[2]}" if self._rises(match) else match[0],
        )

    @staticmethod
    def _rises(match: re.Match[str]) -> bool:
        return "0" not in (match[1][0], match[2][0]) and int(match[1]) < int(match[2])

    def _plain_rule(self) -> Rule:
        return re.compile(rf"(?:(?<![\w.,:/@°)-])(?P<sign>[-−+]))?(?P<n>{NUMBER})"), self._plain

    def _plain(self, match: re.Match[str]) -> str:
        text, number = match.string, parse(match["n"], self._decimal)
        if number is None:
            parts = re.split(r"([.,])", match["n"])
            read = " ".join(self._numbers.whole(one, Form.ALONE) if one.isdigit() else self._mark(one) for one in parts)
        elif self._words.years and number.is_year:
            read = self._numbers.whole(number.whole, Form.YEAR)
        else:
            following = re.match(r" ([^\W\d_]+)", text[match.end() : match.end() + 40])
            read = self._before(number, following[1] if following else "")
        before = " " if text[max(match.start() - 1, 0) : match.start()].isalnum() else ""
        after = " " if text[match.end() : match.end() + 1].isalnum() else ""
        return f"{before}{self._sign(match)}{read}{after}"

    def _mark(self, mark: str) -> str:
        return self._words.address[0] if mark == "." else mark

    def _sign(self, match: re.Match[str]) -> str:
        return {None: "", "+": f"{self._words.plus} "}.get(match["sign"], f"{self._words.minus} ")

    def _before(self, number: Written, word: str) -> str:
        return self._numbers.number(number, self._form(number, word.partition(" ")[0]))

    def _form(self, number: Written, word: str) -> Form:
        words = self._words
        alone = word.lower() in self._aside or number.is_year or (not words.inflected and number.whole != "1")
        if not word or alone:
            return Form.ALONE
        if words.feminine and re.fullmatch(words.feminine, word) and word.lower() not in self._masculine:
            return Form.FEMININE
        # German nouns have a capital; before another word the number stands for itself.
        return Form.MASCULINE if words.of or word[0].isupper() else Form.ALONE


def _end(match: re.Match[str]) -> str:
    """The period that ended a sentence and an abbreviation at once."""
    return "." if match[0].endswith(".") and match.end() == len(match.string) else ""


def _any(signs: Iterable[str]) -> str:
    return f"(?:{'|'.join(map(re.escape, sorted(signs, key=len, reverse=True)))})"


@lru_cache(maxsize=64)
def rules(language: str, tag: str) -> Rules:
    """The rules of a language in the locale `tag`, for example `en` and `en_GB`."""
    return Rules(language, Locale.parse(tag))
