"""The description of a whole transcript by a language model, part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from services.translate.engines.base import MAX_FOUND_TERMS, LanguagePair, Summary, Term
from services.translate.engines.openai_client import ChatClient, Meter, Unusable
from services.translate.engines.openai_prompt import SUMMARY_SCHEMA, description, summary_rules, transcript_document
from services.translate.glossary import missed_terms, terms_in

_LEAST_LINES = 12
"""Lines from which a description is worth a request: fewer are seen whole by way of their neighbours."""
_PART_CHARS = 20_000
_MAX_PARTS = 12
"""More text than in so many parts, four hours of speech, is not read."""


class Reading:
    """The description found so far, and what it used."""

    def __init__(self, client: ChatClient, pair: LanguagePair, lines: Sequence[str], glossary: Sequence[Term]) -> None:
        self._client, self._pair, self._glossary = client, pair, glossary
        self._parts = list(_parts(lines))[:_MAX_PARTS] if len(lines) >= _LEAST_LINES else []
        self.about = Summary()
        self.meter = Meter()

    async def run(self, report: Callable[[float], None]) -> None:
        """
        Reads the parts one after another, each with the description of those before it, so that a name is translated
        once. An answer that is unusable adds nothing. Raises the errors of the endpoint.
        """
        rules = summary_rules(self._pair)
        for number, part in enumerate(self._parts, start=1):
            data = transcript_document(part, terms_in(part, self._glossary), self.about)
            try:
                answer = await self._client.ask(rules, data, "description", SUMMARY_SCHEMA, self.meter)
            except Unusable:
                answer = None
            self._add(part, description(answer))
            report(number / len(self._parts))

    def _add(self, part: str, found: Summary) -> None:
        known = {term.source.casefold() for term in self.about.terms}
        new = [term for term in terms_in(part, found.terms) if term.source.casefold() not in known]
        terms = without_contradictions([*self.about.terms, *new], self._glossary)
        self.about = Summary(found.text or self.about.text, tuple(terms[:MAX_FOUND_TERMS]))


def without_contradictions(found: Sequence[Term], glossary: Sequence[Term]) -> list[Term]:
    """The found terms that keep the user's: one with a term of the glossary in it has its fixed translation as well."""
    return [term for term in found if not missed_terms(term.source, term.target, glossary)]


def _parts(lines: Sequence[str]) -> Iterator[str]:
    part: list[str] = []
    chars = 0
    for line in lines:
        if part and chars + len(line) > _PART_CHARS:
            yield "\n".join(part)
            part, chars = [], 0
        part.append(line)
        chars += len(line) + 1
    if part:
        yield "\n".join(part)
