"""Lines translated by one loaded model: cut into sentences, with their terms kept, put together to fit their time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from services.translate.engines.apertium_text import Restored, finish, has_letters, restore
from services.translate.engines.base import LanguagePair, Line, Term, Translation
from services.translate.engines.ct2_files import Route
from services.translate.engines.ct2_text import Masked, fitted, fixed_terms, joined, keeps, mask, sentences, unmask
from services.translate.glossary import terms_in


class Model(Protocol):
    """The part of a loaded model that is used here (see `ct2_model.LoadedModel`)."""

    def parts(self, sentence: str) -> list[str]:
        """The sentence, cut where it is longer than the model can take."""
        ...

    def unknown(self, text: str) -> list[str]:
        """The words for which the model has no piece."""
        ...

    def hypotheses(self, sentences: Sequence[str], route: Route, beam: int) -> list[list[str]]:
        """Translations of each sentence, the most probable first."""
        ...


@dataclass(slots=True)
class _Unit:
    """A sentence, or a part of a long one, with the translations that it may have."""

    text: str
    terms: Sequence[Term]
    found: list[str] = field(default_factory=list)


class Work:
    """The translation of one batch of lines; sentences whose terms were lost take a second and a third round."""

    def __init__(self, model: Model, pair: LanguagePair, route: Route, beam: int, terms: Sequence[Term]) -> None:
        self._model, self._pair, self._route, self._beam, self._terms = model, pair, route, beam, terms

    def run(self, lines: Sequence[Line], go_on: Callable[[], None]) -> list[Translation]:
        """One translation for each line; `go_on` raises where the work was given up."""
        restored = [restore(line.text, self._pair.source) for line in lines]
        by_line = [self._units(one.text) for one in restored]
        units = [unit for line in by_line for unit in line]
        self._plain(units)
        lacking = [unit for unit in units if unit.terms and not unit.found]
        for round_ in (self._with_stand_ins, self._around_terms):
            go_on()
            round_(lacking)
            lacking = [unit for unit in lacking if not unit.found]
        return [self._line(*one) for one in zip(lines, restored, by_line, strict=True)]

    def _units(self, text: str) -> list[_Unit]:
        parts = [part for sentence in sentences(text) for part in self._model.parts(sentence)]
        return [_Unit(part, terms_in(part, fixed_terms(part, self._terms))) for part in parts]

    def _plain(self, units: Sequence[_Unit]) -> None:
        """As they are; a model often keeps a name or an address by itself."""
        for unit, options in zip(units, self._translated([unit.text for unit in units]), strict=True):
            unit.found = [one for one in options if keeps(unit.text, one, unit.terms)]

    def _with_stand_ins(self, units: Sequence[_Unit]) -> None:
        masked = [_masked(unit) for unit in units]
        for unit, one, options in zip(units, masked, self._translated([one.text for one in masked]), strict=True):
            texts = [text for option in options if (text := unmask(option, one))]
            unit.found = [text for text in texts if keeps(unit.text, text, unit.terms)]

    def _around_terms(self, units: Sequence[_Unit]) -> None:
        """Translates the text between the terms, each part on its own: the grammar suffers, the terms do not."""
        masked = [_masked(unit) for unit in units]
        sources = [text for one in masked for text in one.between]
        spoken = [text for text in sources if has_letters(text)]
        first = dict(zip(spoken, (options[0] for options in self._translated(spoken)), strict=True))
        for unit, one in zip(units, masked, strict=True):
            unit.found = [joined(one, [first.get(text, text) for text in one.between])]

    def _translated(self, texts: Sequence[str]) -> list[list[str]]:
        return self._model.hypotheses(texts, self._route, self._beam) if texts else []

    def _line(self, line: Line, restored: Restored, units: Sequence[_Unit]) -> Translation:
        text = fitted([unit.found or [""] for unit in units], line.max_chars, self._pair.target)
        kept = [term.target for unit in units for term in unit.terms]
        done = finish(text, restored, self._pair.target, kept)
        unknown = [word for unit in units for word in self._unknown(unit) if word.casefold() in done.casefold()]
        return Translation(done, tuple(dict.fromkeys(unknown)))

    def _unknown(self, unit: _Unit) -> list[str]:
        masked = mask(unit.text, unit.terms)
        return self._model.unknown(" ".join(masked.between) if masked else unit.text)


def _masked(unit: _Unit) -> Masked:
    return mask(unit.text, unit.terms) or Masked(unit.text, (), (unit.text,))
