"""Calls to translation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from onevoice.translate.v1 import translate_service_pb2 as pb
from onevoice.translate.v1.translate_service_pb2_grpc import TranslateServiceStub
from onevoice_jobs.options import GlossaryTerm
from onevoice_kit.grpc.streams import final_result
from onevoice_kit.languages import distance

from ..policy.costs import shares
from ..policy.line import EngineUse, Translation
from .base import SHORT_S, Recent, candidates, cost_from_proto, engine_from_proto


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

    async def engines(self, source: str, target: str, named: str) -> list[EngineUse]:
        """Lists the engines that a job with these languages may get: the named one, or all that serve the pair."""
        listed: pb.ListEnginesResponse = await self._engines()
        serving = [item.engine for item in listed.engines if _serves(item, source, target)]
        return candidates(serving, named)

    async def translate(
        self, source: str, target: str, lines: Sequence[SourceLine], glossary: Sequence[GlossaryTerm], engine: str
    ) -> dict[str, Translation]:
        """Translates lines from `source` to `target` (BCP-47); returns the translations by line id."""
        request = pb.TranslateRequest(
            source_language=source,
            target_language=target,
            segments=[pb.SourceSegment(id=line.id, text=line.text, max_chars=line.max_chars) for line in lines],
            glossary=[pb.GlossaryTerm(source=term.source, target=term.target) for term in glossary],
            engine=engine,
        )
        call = self._stub.Translate(request, timeout=SHORT_S * 4)
        result: pb.TranslateResult = await final_result(call)
        engine_used = engine_from_proto(result.engine)
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
            )
            for line, cost in zip(result.segments, costs, strict=True)
        }


def _serves(engine: pb.TranslationEngine, source: str, target: str) -> bool:
    return any(
        distance(source, pair.source) is not None and distance(target, pair.target) is not None for pair in engine.pairs
    )
