"""One call of the engine `openai`: rounds of requests until every line may stay."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from onevoice_kit.errors import OneVoiceError, PreconditionFailed, Unavailable
from services.translate.engines.base import Context, LanguagePair, Line, Summary, Term, Translation
from services.translate.engines.openai_choice import chosen, faults, overrun
from services.translate.engines.openai_client import ChatClient, Meter, Unusable
from services.translate.engines.openai_prompt import (
    LINES_SCHEMA,
    Asked,
    Proposal,
    document,
    proposals,
    rules,
)
from services.translate.engines.openai_summary import without_contradictions
from services.translate.glossary import missed_terms, terms_in

_ROUNDS = (20, 5, 1)
"""Lines in a request, by round: smaller ones isolate a line that a model cannot handle. There are no more rounds."""
_MENDED = 5
"""Least lines in a request for those that have a translation with faults: they need not be isolated."""
_BATCH_CHARS = 6_000
_AROUND = 3
"""Lines before and after each one that a request shows as context."""
_log = logging.getLogger(__name__)


class Work:
    """The lines of one call and the translations found so far, by index."""

    def __init__(
        self,
        client: ChatClient,
        pair: LanguagePair,
        lines: Sequence[Line],
        terms: Sequence[Term],
        style: str,
        context: Context,
    ) -> None:
        self._client, self._pair, self._lines, self._terms = client, pair, lines, terms
        self._rules = rules(pair, style)
        self._meter = Meter()
        self._about = Summary(context.about.text, tuple(without_contradictions(context.about.terms, terms)))
        all_texts = [*context.before, *(line.text for line in lines), *context.after]
        self._texts = dict(enumerate(all_texts, start=-len(context.before)))
        """By index; those of the lines before are negative."""
        self._found: dict[int, Translation] = {}
        self._wrong: dict[int, tuple[str, ...]] = {}
        self._refused = False

    @property
    def complete(self) -> bool:
        """True where every line has a translation, be it one with faults."""
        return len(self._found) == len(self._lines)

    def translations(self) -> list[Translation]:
        """One for each line, with an equal share of the tokens; an empty one where the model gave none."""
        count = len(self._lines)
        share = {measure: tokens / max(1, count) for measure, tokens in self._meter.use.items()}
        return [replace(self._found.get(index, Translation("")), use=share) for index in range(count)]

    async def run(self, report: Callable[[float], None]) -> None:
        """
        Requests the lines that are missing or have faults, in at most three rounds.

        Raises the errors of the endpoint while a line is missing; `PreconditionFailed` (reason `engine_declined`) or
        `Unavailable` (reason `engine_answer`) where no line got a translation.
        """
        for round_, size in enumerate(_ROUNDS):
            missing = [i for i in range(len(self._lines)) if i not in self._found]
            faulty = [i for i, wrong in sorted(self._wrong.items()) if wrong]
            if round_ == len(_ROUNDS) - 1 and not self._found and len(missing) > _MENDED:
                break  # after two rounds without any answer, each of many lines alone would be a waste
            batches = [*self._batches(missing, size), *self._batches(faulty, max(size, _MENDED))]
            try:
                await self._round(batches, report)
            except OneVoiceError as error:
                if not self.complete:
                    raise
                _log.info("an error ended the mending of lines that do not fit", extra={"reason": error.reason})
                break
        if self._lines and not self._found:
            raise self._nothing()
        report(1.0)

    async def _round(self, batches: Sequence[Sequence[int]], report: Callable[[float], None]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for batch in batches:
                    group.create_task(self._batch(batch, report))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _batch(self, batch: Sequence[int], report: Callable[[float], None]) -> None:
        asked = [Asked(str(i + 1), self._lines[i], self._wrong.get(i, ())) for i in batch]
        around = sorted({near for i in batch for near in range(i - _AROUND, i + _AROUND + 1)} - set(batch))
        context = {str(i + 1): self._texts[i] for i in around if i in self._texts}
        text = "\n".join(one.line.text for one in asked)
        about = Summary(self._about.text, tuple(terms_in(text, self._about.terms)))
        data = document(asked, context, terms_in(text, self._terms), about)
        try:
            answer = await self._client.ask(self._rules, data, "translations", LINES_SCHEMA, self._meter)
            given = proposals(answer, asked)
        except Unusable as error:
            self._refused |= error.refused
            return
        self._take(batch, given)
        report(len(self._found) / len(self._lines))

    def _take(self, batch: Sequence[int], given: Mapping[str, Proposal]) -> None:
        for index in batch:
            proposal, line = given.get(str(index + 1)), self._lines[index]
            if proposal is None:
                continue
            text = chosen(proposal, line, self._pair.target, self._terms)
            before = self._found.get(index)
            if before is None or self._cost(line, text) <= self._cost(line, before.text):
                self._found[index] = Translation(text, proposal.untranslated)
                self._wrong[index] = faults(text, line, self._pair.target, self._terms)

    def _cost(self, line: Line, text: str) -> tuple[int, int]:
        return len(missed_terms(line.text, text, self._terms)), overrun(text, line, self._pair.target)

    def _batches(self, indexes: Sequence[int], size: int) -> Iterator[list[int]]:
        batch: list[int] = []
        chars = 0
        for index in indexes:
            length = len(self._lines[index].text)
            if batch and (len(batch) == size or chars + length > _BATCH_CHARS):
                yield batch
                batch, chars = [], 0
            batch.append(index)
            chars += length
        if batch:
            yield batch

    def _nothing(self) -> OneVoiceError:
        if self._refused:
            message = "The model of the engine “openai” declines to translate these lines."
            return PreconditionFailed(message, reason="engine_declined", details={"engine": "openai"})
        message = "The model of the engine “openai” gives no answer in the form that was asked for."
        return Unavailable(message, reason="engine_answer")
