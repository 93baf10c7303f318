"""Calls to translation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from onevoice.translate.v1 import translate_service_pb2 as pb
from onevoice.translate.v1.translate_service_pb2_grpc import TranslateServiceStub
from onevoice_jobs.costs import shares
from onevoice_jobs.options import GlossaryTerm
from onevoice_kit.grpc.streams import final_result
from onevoice_kit.languages import distance

from ..policy.line import EngineUse, Translation
from ..policy.terminology import NO_TERMINOLOGY, FoundTerm, Terminology
from .base import SHORT_S, Recent, candidates, cost_from_proto, engine_from_proto, failures_from_proto

TRANSLATION = "translation"
"""Kinds of engines."""
SUMMARY = "summary"


@dataclass(frozen=True, slots=True)
class Context:
    """The surroundings of lines to translate."""

    terms: Terminology = NO_TERMINOLOGY
    before: tuple[str, ...] = ()
    """Texts of the lines before the first one, in time order."""
    after: tuple[str, ...] = ()
    """Texts of the lines after the last one, in time order."""


NO_CONTEXT = Context()


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line to translate."""

    id: str
    text: str
    max_chars: int


class TranslateClient:
    """Translation."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = TranslateServiceStub(channel)
        self._engines = Recent(lambda: self._stub.ListEngines(pb.ListEnginesRequest(), timeout=SHORT_S))

    async def engines(self, source: str, target: str, named: str) -> dict[str, list[EngineUse]]:
        """
        Lists the engines that a job with these languages may get, in the order of preference: the named one, or all
        that serve the pair; and the first of them once more where it wants a summary of the whole.
        """
        listed: pb.ListEnginesResponse = await self._engines()
        serving = [item for item in listed.engines if _serves(item, source, target)]
        wanting = candidates([item.engine for item in serving if item.wants_summary], named)
        found = candidates([item.engine for item in serving], named)
        return {TRANSLATION: found, SUMMARY: [one for one in found[:1] if one in wanting]}

    async def summarize(
        self, source: str, target: str, lines: Sequence[str], glossary: Sequence[GlossaryTerm], engine: str
    ) -> Terminology:
        """Describes a whole transcript, lines in time order, for its translation from `source` to `target` (BCP-47)."""
        request = pb.SummarizeRequest(
            source_language=source, target_language=target, lines=lines, glossary=_terms(glossary), engine=engine
        )
        result: pb.SummarizeResult = await final_result(self._stub.Summarize(request, timeout=SHORT_S * 4))
        found = tuple(FoundTerm(term.source, term.target) for term in result.summary.terms)
        used = engine_from_proto(result.engine)
        return Terminology(result.summary.text, found, used, cost_from_proto(result), result.problem)

    async def translate(
        self,
        source: str,
        target: str,
        lines: Sequence[SourceLine],
        glossary: Sequence[GlossaryTerm],
        engine: str,
        context: Context = NO_CONTEXT,
    ) -> dict[str, Translation]:
        """Translates lines from `source` to `target` (BCP-47); returns the translations by line id."""
        request = pb.TranslateRequest(
            source_language=source,
            target_language=target,
            segments=[pb.SourceSegment(id=line.id, text=line.text, max_chars=line.max_chars) for line in lines],
            glossary=_terms(glossary),
            engine=engine,
            about=pb.Summary(text=context.terms.summary, terms=_terms(context.terms.terms)),
            before=context.before,
            after=context.after,
        )
        call = self._stub.Translate(request, timeout=SHORT_S * 4)
        result: pb.TranslateResult = await final_result(call)
        engine_used, after = engine_from_proto(result.engine), failures_from_proto(result.engine)
        costs = shares(cost_from_proto(result), len(result.segments))
        return {
            line.id: Translation(
                line.text,
                tuple(line.unknown_words),
                line.within_budget,
                engine_used,
                missed_terms=tuple(line.missed_terms),
                cost_microusd=cost,
                similarity=round(line.similarity, 3) if line.HasField("similarity") else None,
                meaning_lost=line.meaning_lost,
                after=after,
            )
            for line, cost in zip(result.segments, costs, strict=True)
        }


def _terms(terms: Sequence[GlossaryTerm] | Sequence[FoundTerm]) -> list[pb.GlossaryTerm]:
    return [pb.GlossaryTerm(source=term.source, target=term.target) for term in terms]


def _serves(engine: pb.TranslationEngine, source: str, target: str) -> bool:
    return any(
        distance(source, pair.source) is not None and distance(target, pair.target) is not None for pair in engine.pairs
    )
