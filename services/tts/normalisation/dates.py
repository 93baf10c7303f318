"""Dates and times of day as words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from babel import Locale

from services.tts.normalisation.numbers import Form, Numbers
from services.tts.normalisation.units import unit_name
from services.tts.normalisation.words import Words

_DAY = r"(?P<d>0?[1-9]|[12][0-9]|3[01])"
_HOUR, _MINUTE = r"(?P<h>[01]?[0-9]|2[0-4])", r"(?P<m>[0-5][0-9])"
_LAST_MONTH, _LAST_DAY = 12, 31
_CENTURY = 70
"""A year of two digits below it is one of this century."""
_OBLIQUE = r"(?:am|vom|zum|beim|im|dem|den|des|seit|bis)"
"""German words before a day in the dative, accusative or genitive."""
Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


class Dates:
    """The rules for dates and times of one language."""

    def __init__(self, language: str, locale: Locale, words: Words, numbers: Numbers) -> None:
        self._language = language
        self._words = words
        self._numbers = numbers
        self._month_first = locale.date_formats["short"].pattern.startswith("M")
        self._months: dict[int, str] = dict(locale.months["format"]["wide"])
        self._short: dict[str, int] = {
            name.rstrip("."): number for number, name in locale.months["format"]["abbreviated"].items()
        }
        self._pattern: str = locale.date_formats["long"].pattern
        self._hours = unit_name("duration-hour", "other", locale)

    def rules(self) -> Iterable[Rule]:
        """The rules in the order in which they apply."""
        yield re.compile(r"(?<![\w./-])(?P<y>[12][0-9]{3})-(?P<a>[0-9]{2})-(?P<b>[0-9]{2})(?![\w/-])"), self._iso
        yield (
            re.compile(
                r"(?<![\w./-])(?P<a>[0-9]{1,2})(?P<mark>[./-])(?P<b>[0-9]{1,2})(?P=mark)"
                r"(?P<y>[0-9]{4}|(?<=/)[0-9]{2})(?![\w/-]|[.,][0-9])"
            ),
            self._numeric,
        )
        yield from {"en": self._english, "de": self._german}.get(self._language, self._romance)()
        yield from self._times()

    def _iso(self, match: re.Match[str]) -> str:
        return self._date(match, int(match["b"]), int(match["a"]), match["y"])

    def _numeric(self, match: re.Match[str]) -> str:
        day, month = int(match["a"]), int(match["b"])
        if (self._month_first and day <= _LAST_MONTH) or month > _LAST_MONTH:
            day, month = month, day
        year = match["y"]
        if len(year) == len("yy"):
            year = f"{'20' if int(year) < _CENTURY else '19'}{year}"
        return self._date(match, day, month, year)

    def _date(self, match: re.Match[str], day: int, month: int, year: str) -> str:
        if not (1 <= month <= _LAST_MONTH and 1 <= day <= _LAST_DAY):
            return match[0]
        oblique = bool(re.search(rf"\b{_OBLIQUE} $", match.string[: match.start()], re.IGNORECASE))
        read = {
            "d": self._day(day, oblique=oblique),
            "M": self._months[month],
            "y": self._numbers.whole(year, Form.YEAR if self._words.years else Form.ALONE),
        }
        if self._language == "en" and not self._month_first:
            return f"the {read['d']} of {read['M']} {read['y']}"
        parts = re.sub(r"'([^']*)'|(d)+\.?|(M)+|(y)+", lambda one: one[1] or read[one[0][0]], self._pattern)
        return parts.strip()

    def _day(self, day: int, *, oblique: bool = False) -> str:
        form = Form.ALONE
        if self._language == "de":
            form = Form.ORDINAL_OBLIQUE if oblique else Form.ORDINAL
        elif self._language == "en" or (self._words.first and day == 1):
            form = Form.ORDINAL
        return self._numbers.whole(str(day), form)

    def _english(self) -> Iterable[Rule]:
        wide = {name: name for name in self._months.values()}
        names = wide | {f"{short}.": self._months[n] for short, n in self._short.items() if short not in wide}
        names |= {short: self._months[n] for short, n in self._short.items()} | {"Sept.": "September"}
        month = f"(?P<month>{'|'.join(map(re.escape, sorted(names, key=len, reverse=True)))})"
        yield (
            re.compile(rf"(?<!\w){month} {_DAY}(?:st|nd|rd|th)?(?![\w:%]|[.,][0-9])"),
            lambda match: f"{names[match['month']]} {self._day(int(match['d']))}",
        )
        yield (
            re.compile(rf"(?<![\w.,:/-])(?P<the>the )?{_DAY}(?:st|nd|rd|th)? (?:of )?{month}(?!\w)"),
            lambda match: f"the {self._day(int(match['d']))} of {names[match['month']]}",
        )

    def _german(self) -> Iterable[Rule]:
        known = "|".join([*self._months.values(), *map(re.escape, self._short), "Jahrhunderts?", "Tag(?:e|es)?", "Mal"])
        yield (
            re.compile(rf"(?<![\w.,:/-])(?:(?P<before>{_OBLIQUE}) )?(?P<n>[0-9]{{1,2}})\. (?={known})", re.IGNORECASE),
            lambda match: f"{self._led(match)}{self._ordered(match['n'], match['before'])} ",
        )
        yield (
            re.compile(r"(?<!\w)(?P<before>der|die|das|jede[rs]?) (?P<n>[0-9]{1,2})\. (?=\w)", re.IGNORECASE),
            lambda match: f"{self._led(match)}{self._ordered(match['n'], None)} ",
        )

    def _led(self, match: re.Match[str]) -> str:
        return f"{match['before']} " if match["before"] else ""

    def _ordered(self, digits: str, oblique: str | None) -> str:
        return self._numbers.whole(str(int(digits)), Form.ORDINAL_OBLIQUE if oblique else Form.ORDINAL)

    def _romance(self) -> Iterable[Rule]:
        if self._words.first:
            month = "|".join(map(re.escape, self._months.values()))
            yield (
                re.compile(rf"(?<![\w.,:/-])1º?(?= (?:de )?(?:{month})(?!\w))"),
                lambda _: self._day(1),
            )

    def _times(self) -> Iterable[Rule]:
        start = r"(?<![\w.,:/-])"
        if self._language == "en":
            noon = r"(?: ?(?P<noon>[ap])\.?m\b\.?(?!\w))"
            yield re.compile(rf"{start}{_HOUR}(?::{_MINUTE})?{noon}", re.IGNORECASE), self._time
            yield re.compile(rf"{start}{_HOUR}:{_MINUTE}(?![\w:])"), self._time
            return
        unit = {"fr": "heures?|h", "de": "Uhr", "hi": "बजे"}.get(self._language, "h")
        yield re.compile(rf"{start}{_HOUR}:{_MINUTE}(?: ?(?P<unit>{unit})(?![\w]))?(?![\w:])"), self._time
        if self._language == "de":
            yield re.compile(rf"{start}{_HOUR}(?:\.{_MINUTE})? (?P<unit>Uhr)\b"), self._time
        else:
            yield re.compile(rf"{start}{_HOUR} ?h ?{_MINUTE}(?!\w)"), self._time

    def _time(self, match: re.Match[str]) -> str:
        groups = match.groupdict()
        minute = int(groups.get("m") or 0)
        noon = f" {groups['noon'].upper()}M" if groups.get("noon") else ""
        template = self._words.clock[1 if minute else 0]
        if noon and not minute:
            template = "{h}"
        spoken = template.format(h=self._hour(int(match["h"])), m=self._minute(minute))
        # Hours in letters behind a time that has none of its own in words.
        named = f" {self._hours}" if groups.get("unit") == "h" and self._language not in ("fr", "pt") else ""
        return spoken + named + noon

    def _hour(self, hour: int) -> str:
        feminine = Form.FEMININE if self._language in ("es", "pt", "ca", "it", "fr") else Form.ALONE
        form = Form.MASCULINE if self._language == "de" else feminine
        if self._language == "it" and hour != 1:
            form = Form.ALONE
        return self._numbers.whole(str(hour), form)

    def _minute(self, minute: int) -> str:
        oh = "oh " if self._language == "en" and minute < 10 else ""
        return oh + self._numbers.whole(str(minute), Form.ALONE)
